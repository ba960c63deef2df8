#include <ctype.h>
#include <stdio.h>

/* Writes which characters stand between words. */
int main(void)
{
    printf("static const char is_between[256] = {");
    for (int c = 0; c < 256; c++)
        printf("%d,", isspace(c) != 0);
    printf("};\n");
    return 0;
}
