/*
 * The admin port's listening socket, opened once for all processes of a host.
 */
#ifndef CLI_RUN_ADMIN_SOCKET_H
#define CLI_RUN_ADMIN_SOCKET_H

#include "base/buf.h"

#include <sys/types.h>

#define ADMIN_ADDRESS_SIZE 128

/* The file of a unix socket, by which it is known again; ino 0: none. */
struct admin_file {
	dev_t dev;
	ino_t ino;
};

/* The path in "unix:/run/bunshin/admin.sock", borrowed; NULL: an address of another kind. */
const char *admin_socket_path(const char *address);
/*
 * listen: "127.0.0.1:9797", "[::1]:0", "unix:/run/bunshin/admin.sock", or NULL: none, then *ret_fd
 * is -1. 0 also with -1 when the address is in use by another: that is logged as a warning, since
 * delivery matters more. Otherwise an error code with a sentence in `error`. ret_address:
 * "127.0.0.1:40123" with the real port, or "unix:PATH".
 *
 * A unix socket gets the mode 0660. One that is there already and that nobody listens on, left by a
 * process that was killed, is replaced; anything else at the path, a symbolic link to such a socket
 * too, is left alone: an error. Of several processes that do so at once, one gets it: they take
 * turns by a lock on the directory, where it may be read. Blocks for up to a second while another
 * holds that.
 */
int admin_socket_open(const char *listen, int *ret_fd, char ret_address[ADMIN_ADDRESS_SIZE],
	struct admin_file *ret_file, struct buf *error);
/*
 * Closes it and removes the file of a unix socket, unless another has taken its place. Other
 * processes that have the socket may go on accepting from it, though nobody new finds it. -1 is
 * fine.
 */
void admin_socket_close(int fd, const char *address, const struct admin_file *file);

#endif
