/* Where the admin port of a running `bunshin run` is, for the commands that ask it. */
#ifndef CLI_ADMIN_ADDRESS_H
#define CLI_ADMIN_ADDRESS_H

#include "base/buf.h"

/*
 * Appends the address, "127.0.0.1:9797", "http://HOST:PORT" or "unix:PATH": `admin` where that is
 * not NULL, else what the configuration at `path` says, else, where the default path cannot be
 * read, the default. Nothing is appended when admin.listen is null. 0, or what config_load() says,
 * with its sentences in `errors`.
 */
int admin_address_find(
	const char *path, const char *admin, struct buf *address, struct buf *errors);
/*
 * Appends the URL of a page, "/healthz", there: "0.0.0.0:9797" is where it listens, from here that
 * is this machine. Over a unix socket (admin_socket_path()) the host is localhost.
 */
int admin_address_url(const char *address, const char *page, struct buf *url);

#endif
