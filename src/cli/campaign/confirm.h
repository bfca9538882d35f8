/* The question before a campaign is sent from a terminal. */
#ifndef CLI_CAMPAIGN_CONFIRM_H
#define CLI_CAMPAIGN_CONFIRM_H

#include <stdbool.h>

/*
 * The terminal to ask at, opened: /dev/tty, since standard input may be the recipient list.
 * -1: there is nobody to ask (standard error is no terminal, or there is no /dev/tty).
 */
int campaign_confirm_open(void);

/*
 * Shows the question on standard error and reads a line from the terminal; what was typed before
 * the question is dropped. True: the line is the word. False: another line, an end of file, or a
 * signal (SIGINT, SIGTERM), which ends the question and not the process.
 */
bool campaign_confirm(int terminal, const char *question, const char *word);

#endif
