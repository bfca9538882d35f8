/*
 * Listening sockets from text: "127.0.0.1:9324", "[::1]:0", "localhost:9324".
 */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#define LISTEN_TEXT_MAX 64 /* "[" + an IPv6 address + "]:65535" and the NUL fit */

/*
 * Binds and listens: non-blocking, close-on-exec, SO_REUSEADDR, TCP_NODELAY (which the accepted
 * sockets inherit). Returns 0 with the descriptor, its family and the address with the real port;
 * ERR_ARGUMENT (does not parse: a numeric host or localhost, and a port, are needed); or ERR_IO
 * with errno set.
 */
int listen_open(const char *text, int *ret_fd, int *ret_family, char ret_address[LISTEN_TEXT_MAX]);

#endif
