#include "count.h"

#include "tables.h"

unsigned count(const char *text)
{
    unsigned words = 0;
    int inside = 0;
    for (; *text; text++) {
        int between = is_between[(unsigned char)*text];
        words += !between && !inside;
        inside = !between;
    }
    return words;
}
