/* Apart from screen.c, since term.h makes macros of words such as "columns". */
#ifndef CLI_TOP_TERMINFO_H
#define CLI_TOP_TERMINFO_H

#include <stdbool.h>

/* Whether $TERM is a terminal that terminfo knows. newterm() would leak memory if not. */
bool terminfo_knows(int fd);

#endif
