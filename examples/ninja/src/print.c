#include <stdio.h>

#include "print.h"

void print(const int *numbers, int count)
{
    for (int at = 0; at < count; at++)
        printf(at ? " %d" : "%d", numbers[at]);
    printf("\n");
}
