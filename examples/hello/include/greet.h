#ifndef GREET_H
#define GREET_H

#define PLACE "ComputePods"

/* What to say. */
const char *greeting(void);

#endif
