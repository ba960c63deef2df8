/* All on one line. */
void print(const int *numbers, int count);
