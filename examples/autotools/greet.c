#include <stdio.h>
#ifdef HAVE_UNISTD_H
#include <unistd.h>
#endif

int main(void) {
#ifdef HAVE_UNISTD_H
    const char *end = isatty(1) ? "!\n" : ".\n";
#else
    const char *end = ".\n";
#endif
    printf("Hello, %s%s", GREETED, end);
    return 0;
}
