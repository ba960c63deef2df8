#define WORDS "words"

int count(int arguments);
