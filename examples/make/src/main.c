#include <stdio.h>

#include "count.h"

int main(int arguments, char **argument) {
    (void)argument;
    printf("%d %s\n", count(arguments), WORDS);
    return 0;
}
