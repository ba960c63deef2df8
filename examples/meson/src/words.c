#include <stdio.h>

#include "count.h"

int main(int argc, char **argv)
{
    unsigned words = 0;
    for (int i = 1; i < argc; i++)
        words += count(argv[i]);
    printf("%u words\n", words);
    return 0;
}
