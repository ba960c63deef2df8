#include "print.h"
#include "squares.h"

int main(void)
{
    print(squares, sizeof squares / sizeof squares[0]);
    return 0;
}
