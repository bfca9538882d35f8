#include "cli/campaign/confirm.h"

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_SIZE 1024

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = 1;
}

int campaign_confirm_open(void)
{
	if (!cli_is_terminal(STDERR_FILENO))
		return -1;
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

/* The terminal hands out whole lines. False: a signal, an end of file, an error. */
static bool read_line(int terminal, char line[], size_t size, const sigset_t *waiting_mask)
{
	struct pollfd poll = {.fd = terminal, .events = POLLIN};
	ssize_t len;

	/* Signals come in here and nowhere else, so none falls between a look and a read. */
	if (ppoll(&poll, 1, NULL, waiting_mask) < 0 || interrupted)
		return false;
	len = read(terminal, line, size - 1);
	if (len <= 0)
		return false;
	line[len] = '\0';
	while (len > 0 && strchr("\r\n", line[len - 1]))
		line[--len] = '\0';
	return true;
}

bool campaign_confirm(int terminal, const char *question, const char *word)
{
	struct sigaction action = {.sa_handler = on_signal}, old_int, old_term;
	sigset_t blocked, old_mask;
	char line[LINE_SIZE];
	bool read;

	interrupted = 0;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &old_mask);
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);

	tcflush(terminal, TCIFLUSH);
	fputs(question, stderr);
	fflush(stderr);
	read = read_line(terminal, line, sizeof(line), &old_mask);
	if (!read)
		fputc('\n', stderr);

	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	return read && strcmp(line, word) == 0;
}
