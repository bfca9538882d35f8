/*
 * Inside of the HTTP servers: what an http_call of server.h is made of. Each server has its own
 * structure that begins with one, and a table of what server.h says of calls.
 */
#ifndef HTTP_CALL_H
#define HTTP_CALL_H

#include "http/server.h"

/* Each as the function of its name in server.h. */
struct http_call_ops {
	const char *(*method)(const struct http_call *call);
	const char *(*path)(const struct http_call *call);
	const char *(*query)(const struct http_call *call, const char *name);
	const char *(*header)(const struct http_call *call, const char *name);
	const char *(*body)(const struct http_call *call, size_t *ret_len);
	void (*each_header)(const struct http_call *call,
		void (*visit)(void *arg, const char *name, const char *value), void *arg);
	void (*peer)(const struct http_call *call, char ret_peer[HTTP_PEER_SIZE]);
	int (*reply)(struct http_call *call, const struct http_reply *reply);
	void (*abort)(struct http_call *call);
	bool (*is_alive)(const struct http_call *call);
};

struct http_call {
	const struct http_call_ops *ops;
	void (*gone)(void *arg, struct http_call *call); /* of http_call_keep() */
	void *gone_arg;
};

/* Who is at the other end of a connected socket, as http_call_peer() says it. */
void http_call_peer_of(int fd, char ret_peer[HTTP_PEER_SIZE]);
/* While it is open the peer has not closed it. */
bool http_call_socket_is_alive(int fd);

#endif
