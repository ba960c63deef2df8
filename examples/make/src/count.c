#include "count.h"

int count(int arguments) {
    return arguments - 1;
}
