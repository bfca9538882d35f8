/*
 * Inside of the HTTP client: shared by client.c, shard.c, socket.c and exchange.c only.
 *
 * How a request moves: http_exchange_start() adds its easy handle to the lowest shard with room,
 * and curl asks at once for a time-out of 0, which puts the shard on the kicked list. The idle
 * handle then runs every kicked shard, outside of all callbacks. After each run of a shard its
 * finished transfers are drained, and only there `done` is called.
 */
#ifndef HTTP_CLIENT_IMPL_H
#define HTTP_CLIENT_IMPL_H

#include "base/list.h"
#include "base/timer_heap.h"
#include "http/client.h"

#include <curl/curl.h>

/* One CURLM. */
struct shard {
	struct http_client *client;
	CURLM *multi; /* NULL: none until the next request */
	size_t index; /* in client->shards */
	unsigned in_flight;
	bool speaks_http2;	  /* has a plain connection that does, by the last that asked */
	struct list kicked;	  /* in client->kicked, while a run is due */
	struct clock_timer timer; /* always in client->timers; SHARD_NO_TIMER: not needed */
};

#define SHARD_NO_TIMER UINT64_MAX

/*
 * A watched descriptor. It stays registered with epoll when curl loses interest between two
 * requests on one connection, so that a request on a kept-alive connection needs no epoll_ctl.
 */
struct socket {
	uv_poll_t poll;
	struct http_client *client;
	struct shard *shard; /* NULL: curl has not asked to watch it yet */
	curl_socket_t fd;
	int wanted;	/* UV_READABLE | UV_WRITABLE: what curl waits for; 0: idle */
	int watched;	/* what libuv waits for */
	bool ours;	/* opened by socket_open; else curl's own, such as the resolver's pair */
	bool connected; /* as curl sees it: only then does it say when it closes the descriptor */
};

struct http_client {
	uv_loop_t *loop;
	struct http_client_options options; /* defaults filled in; strings owned */
	char *ca_file, *user_agent, *unix_path;
	char *user_agent_line; /* the header of a request */
	bool may_proxy;	       /* the environment names a proxy, and it may be used */
	bool reuses_plain_http2;
	CURLSH *share; /* DNS cache and TLS sessions of all shards */

	struct shard **shards;
	size_t shard_count, shard_capacity;
	size_t roomy; /* every shard below this one is full */
	struct list kicked;
	struct timer_heap timers;

	struct socket **sockets; /* by descriptor; NULL: not watched */
	size_t socket_capacity;

	struct list pooled;  /* blank exchanges, the last used first */
	struct list filling; /* with the caller, not started */
	struct list running;
	size_t pooled_count;
	size_t in_flight;
	uint64_t connections_opened;

	uv_timer_t timer; /* the earliest of all shards' time-outs; referenced while in flight */
	uint64_t timer_due_us;
	uv_idle_t kick; /* active while a shard is kicked */
	size_t open_handles;
	bool closing;
};

struct http_exchange {
	struct list node;
	struct http_client *client;
	struct shard *shard; /* NULL: not started */
	CURL *easy;
	struct buf url, body, answer;
	struct buf headers; /* "Name: value" NUL ... */
	size_t header_count;
	bool has_content_type, has_user_agent;
	struct curl_slist *nodes; /* the list that curl reads, in memory of the exchange's own */
	size_t node_capacity;
	const char *method, *set_method; /* wanted now; what the easy handle is set to */
	bool set_with_body;
	struct buf set_url; /* what the easy handle is set to; empty: not known */
	CURLU *parsed;	    /* its parts; the easy handle borrows it */
	int64_t timeout_ms, set_timeout_ms;
	bool plain_http2;  /* by the rules of plain_http2.c; so the URL says */
	bool begins_http2; /* it is set up as the first request of a connection */
	bool turn_due;	   /* it is stopped, to be set up the other way */
	unsigned turns;
	http_done *done;
	void *arg;
	uint64_t started_ns;
	unsigned sends; /* times that curl began to send it; the second is stopped */
	bool reused;	/* the first went out on a kept-alive connection */
	size_t answer_header_bytes;
	uint32_t answer_initials; /* of header_initial(), of every line that came */
	bool headers_complete;	  /* the blank line behind the last answer's headers has come */
	size_t dropped_bytes;	  /* of the answer's body, past the limit */
	bool too_large;		  /* the answer broke a limit */
	bool cut;		  /* enough of a truncated answer was read */
	bool given_up;		  /* for want of memory, see shard.c */
	char error[CURL_ERROR_SIZE];
};

/* A bit for the first letter of a header's name, in any case. */
static inline uint32_t header_initial(char letter)
{
	return (uint32_t)1 << (letter & 31);
}

/* client.c */
void client_arm_timer(struct http_client *client);
void client_start_kick(struct http_client *client);
/* Counts a handle whose close_cb has run; the last one frees the client. */
void client_handle_closed(struct http_client *client);

/* shard.c */
int shard_find(struct http_client *client, struct shard **ret_shard);
int shard_add(struct shard *shard, struct http_exchange *exchange);
void shard_remove(struct shard *shard, struct http_exchange *exchange);
/* Lets curl act on a descriptor or (CURL_SOCKET_TIMEOUT) on the time, then drains. */
void shard_run(struct shard *shard, curl_socket_t fd, int events);
void shard_free(struct shard *shard);

/* socket.c */
curl_socket_t socket_open(void *client, curlsocktype purpose, struct curl_sockaddr *address);
int socket_close(void *client, curl_socket_t fd);
int socket_changed(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused);
/* Closes the handles of what curl left behind. */
void sockets_close_all(struct http_client *client);
/* The same for those that curl opened and never asked to watch. Not from a callback of curl's. */
void sockets_close_unseen(struct http_client *client);

/* exchange.c: done is called; the exchange is gone afterwards. */
void exchange_finish(struct http_exchange *exchange, CURLcode code);
void exchange_free(struct http_exchange *exchange);

/* Sets one option or leaves with ERR_NOMEM, all that can go wrong with a valid constant option. */
#define SET(easy, option, value)                                       \
	do {                                                           \
		if (curl_easy_setopt(easy, option, value) != CURLE_OK) \
			return ERR_NOMEM;                              \
	} while (0)

/* easy.c: the part of an exchange that is curl's options. */
int easy_set_up(struct http_exchange *exchange);      /* once for each easy handle */
int easy_set_request(struct http_exchange *exchange); /* for each request; 0 or ERR_ */
int easy_error(CURLcode code);
/* easy_url.c: of these, what follows from the URL; nothing when it is the last request's. */
int easy_set_url(struct http_exchange *exchange); /* 0 or ERR_ */

/*
 * plain_http2.c; nothing for other exchanges. How it starts, by what the shard has: 0 or ERR_NOMEM.
 */
int plain_http2_set(struct http_exchange *exchange, const struct shard *shard);
/* When curl has a connection for it (exchange->reused is set). False: the other way, see turn. */
bool plain_http2_may_send(struct http_exchange *exchange);
/* Sets up a stopped exchange, which no CURLM has, the other way. 0 or ERR_NOMEM. */
int plain_http2_turn(struct http_exchange *exchange);

#endif
