#ifndef COUNT_H
#define COUNT_H

/* How many words a text has. */
unsigned count(const char *text);

#endif
