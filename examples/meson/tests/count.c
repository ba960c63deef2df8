#include "count.h"

int main(void)
{
    return count("") != 0 || count("one") != 1 || count(" one  two\n") != 2;
}
