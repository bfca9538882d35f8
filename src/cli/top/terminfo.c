#include "cli/top/terminfo.h"

#include <curses.h>
#include <term.h>

bool terminfo_knows(int fd)
{
	int why;

	if (setupterm(NULL, fd, &why) != OK)
		return false;
	del_curterm(cur_term);
	return true;
}
