/*
 * Inside of the HTTP client: not for its callers.
 *
 * How a request moves: http_exchange_start() gives it the lowest shard with room. The idle handle,
 * outside of all callbacks, adds the easy handles of all that were started since the last turn, and
 * curl asks at once for a time-out of 0, which puts the shard on the kicked list; then it runs
 * every kicked shard. So what is sent in a turn is sent in a row, when all answers of that turn
 * have been dealt with (or, of very many, the first ones): the other side wakes once for it. After
 * each run of a shard its finished transfers are drained, and only there `done` is called.
 */
#ifndef HTTP_CLIENT_IMPL_H
#define HTTP_CLIENT_IMPL_H

#include "base/list.h"
#include "base/timer_heap.h"
#include "http/address_guard.h"
#include "http/client.h"

#include <curl/curl.h>

/* One CURLM. */
struct shard {
	struct http_client *client;
	CURLM *multi; /* NULL: none until the next request */
	size_t index; /* in client->shards */
	unsigned in_flight;
	bool speaks_http2;	  /* has a plain connection that does, by the last that asked */
	bool speaks_http1;	  /* the last connection that was opened over TLS does */
	struct list channels;	  /* its connections that carry many requests at once */
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
	bool ours;	/* a connection; else curl's own, such as the resolver's pair */
	bool connected; /* as curl sees it: only then does it say when it closes the descriptor */
	struct channel *channel; /* NULL: it carries one request at a time */
};

/*
 * A connection that carries many requests at once. It lives as long as its socket, or an exchange
 * that has sent on it.
 */
struct channel {
	struct list node;    /* in shard->channels, until its socket is closed ... */
	struct shard *shard; /* ... of this one; then NULL */
	unsigned refs;
	int local_port;		      /* 0: it is being opened, for its leader */
	curl_socket_t fd;	      /* once it is open; closed when the shard is NULL */
	bool corked;		      /* the kernel gathers what is written */
	bool open;		      /* to all; else to the first request alone */
	struct http_exchange *leader; /* that one */
	struct list waiting;	      /* for its answer ... */
	uint64_t held_ms;	      /* ... since then, or since one was let go to try */
	bool tried;		      /* one was: see HOLD_MS */
	unsigned streams;	      /* under way */
	int64_t last_stream;	      /* what the server acts on, once it goes away */
	bool failed;		      /* and that with an error: its word is not taken */
	bool watched;		      /* its writes are seen */
	struct http_exchange *quiet;  /* began last and has not written; NULL: none */
	int64_t next_stream;	      /* that the next one begins; 0: not counted */
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
	struct timer_heap timers; /* curl's, one of each shard, and the exchanges' */

	struct socket **sockets; /* by descriptor; NULL: not watched */
	size_t socket_capacity;

	struct buf head;		     /* of the request that is being started */
	struct buf spare_url, spare_headers; /* for the next exchange; empty: it allocates */

	struct list pooled;  /* blank exchanges, the last used first */
	struct list filling; /* with the caller, not started */
	struct list running;
	size_t pooled_count;
	size_t in_flight;
	uint64_t connections_opened;
	unsigned connections; /* open now */
	unsigned most_streams;
	size_t shards_max;	   /* with max_connections; else 0 */
	uint64_t requests_refused; /* and sent again at once */

	uv_timer_t timer; /* the earliest of `timers`; referenced while in flight */
	uint64_t timer_due_us;
	struct list overdue; /* exchanges whose time is over, until the loop has polled ... */
	uv_check_t polled;   /* ... when this, active while there are some, ends them */
	uv_idle_t kick; /* active while a shard is kicked, or any of these lists is not empty */
	struct list released; /* exchanges that have waited for a channel, and go on */
	struct list starting; /* those that curl has not been given yet, the first one first */
	unsigned row;	      /* how many have been started since the idle handle ran */
	uv_timer_t hold;      /* until what waits for a first answer waits no more */
	bool tells_streams;   /* this libcurl's words are known, see channel_words.c */
	size_t open_handles;
	bool closing;
};

struct http_exchange {
	struct list node;
	struct http_client *client;
	struct shard *shard; /* NULL: not started */
	CURL *easy;
	struct buf body, answer;
	struct buf url;	    /* until it is started */
	struct buf headers; /* "Name: value" CR LF ..., until it is started, or curl reads them */
	size_t header_count;
	bool has_content_type, has_user_agent, has_accept; /* among them */
	unsigned hosts;					   /* the same */
	struct curl_slist *nodes; /* the list that curl reads, in memory of the exchange's own */
	size_t node_capacity;
	const char *method, *set_method; /* wanted now; what the easy handle is set to */
	bool set_with_body;
	struct buf set_url;	 /* what the easy handle is set to; empty: not known */
	CURLU *parsed;		 /* its parts; the easy handle borrows it */
	struct buf head_start;	 /* of that URL, see head.c; empty: curl writes the head */
	size_t first_line_bytes; /* of that, its CR LF included */
	bool has_target;	 /* the easy handle has one of the request's own */
	int64_t timeout_ms;
	struct clock_timer timer; /* set while its time runs */
	struct list overdue;	  /* in client->overdue */
	enum { MULTIPLEXES_NEVER, MULTIPLEXES_BY_ALPN, MULTIPLEXES_ALWAYS } multiplexes;
	struct channel *channel; /* that it was sent on; NULL: none that carries many requests */
	struct channel *opening; /* that it leads, and is not open yet; NULL: none */
	struct list waiting;	 /* in that of a channel, in client->released or ->starting */
	int64_t stream_id;	 /* 0: not begun */
	bool begins_anew;	 /* curl does, by itself; it is stopped on the way */
	bool refused;		 /* by the server; curl has said so */
	bool spent;		 /* the easy handle is not used again */
	unsigned resends, refusals;
	bool plain_http2;  /* by the rules of plain_http2.c; so the URL says */
	bool begins_http2; /* it is set up as the first request of a connection */
	bool turn_due;	   /* it is stopped before it was sent, and starts again */
	bool wrong_way;	   /* set up the other way then */
	unsigned turns;
	http_done *done;
	void (*departs)(void *arg); /* NULL: nobody wants to know */
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
	bool late;		  /* its time was over before it could be sent */
	struct address_refusal refusal;
	char error[CURL_ERROR_SIZE];
};

#define REQUEST_HEADERS_MAX_BYTES ((size_t)64 << 10)
/* A URL's text with what head.c puts between its parts and behind it. */
#define HEAD_START_MAX_BYTES(options) ((options)->max_request_bytes + 64)

/* A bit for the first letter of a header's name, in any case. */
static inline uint32_t header_initial(char letter)
{
	return (uint32_t)1 << (letter & 31);
}

/* client.c */
void client_arm_timer(struct http_client *client);
void client_start_kick(struct http_client *client);
/* Outside of all callbacks: sends what has been started if that is enough for a row. */
void client_end_row(struct http_client *client);
/* Counts a handle whose close_cb has run; the last one frees the client. */
void client_handle_closed(struct http_client *client);

/* shard.c */
int shard_find(struct http_client *client, struct shard **ret_shard);
/* It starts with the next turn of the loop. */
int shard_add(struct shard *shard, struct http_exchange *exchange);
/* Gives it to curl; when that fails, `done` is called. */
void shard_start(struct http_exchange *exchange);
void shard_remove(struct shard *shard, struct http_exchange *exchange);
/* Hands one that was stopped before it was sent, or is to be sent again, to curl once more. */
void shard_start_again(struct http_exchange *exchange);
/* Lets curl act on a descriptor or (CURL_SOCKET_TIMEOUT) on the time, then drains. */
void shard_run(struct shard *shard, curl_socket_t fd, int events);
void shard_free(struct shard *shard);

/* socket.c */
curl_socket_t socket_open(void *exchange, curlsocktype purpose, struct curl_sockaddr *address);
int socket_close(void *client, curl_socket_t fd);
int socket_changed(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused);
/* The port on this side; 0: there is none, it is no internet socket. */
int socket_port(curl_socket_t fd);
/* Closes the handles of what curl left behind. */
void sockets_close_all(struct http_client *client);
/* The same for those that curl opened and never asked to watch. Not from a callback of curl's. */
void sockets_close_unseen(struct http_client *client);

/* timeout.c */
void timeouts_init(struct http_client *client);
/* Its time begins. 0 or ERR_NOMEM. */
int timeout_start(struct http_exchange *exchange);
/* It is over, and it ends in this turn of the loop. */
bool timeout_is_noted(const struct http_exchange *exchange);
/* The same by the clock, which is read. */
bool timeout_is_over(const struct http_exchange *exchange);
/* Harmless when it does not run. */
void timeout_stop(struct http_exchange *exchange);

/* exchange.c: done is called; the exchange is gone afterwards. */
void exchange_finish(struct http_exchange *exchange, CURLcode code);
void exchange_time_out(struct http_exchange *exchange);
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

/* head.c: the same for the head of a request. Each returns 0 or ERR_NOMEM. */
/* Of its URL, which is set. */
int head_set_url(struct http_exchange *exchange);
/* Of all the rest; the header lines are used up. */
int head_set(struct http_exchange *exchange, bool with_body);

/*
 * plain_http2.c; nothing for other exchanges. How it starts, by what the shard has: 0 or ERR_NOMEM.
 */
int plain_http2_set(struct http_exchange *exchange, const struct shard *shard);
/* When curl has a connection for it (exchange->reused is set). False: the other way, see turn. */
bool plain_http2_may_send(struct http_exchange *exchange);
/* Sets up one that starts again, which no CURLM has. 0 or ERR_NOMEM. */
int plain_http2_turn(struct http_exchange *exchange);

/* channel.c */
/*
 * When curl is about to open a connection for it. False: another one is being opened, or has no
 * answer yet, and it waits for that.
 */
bool channel_may_open(struct http_exchange *exchange);
/* When curl has a connection for it. False: it waits for the first answer there. */
bool channel_enter(struct http_exchange *exchange, int local_port);
/* It waits for one, instead of being added to the CURLM. */
bool channel_holds(struct shard *shard, struct http_exchange *exchange);
/* Its descriptor is about to be closed; from anywhere. */
void channel_closed(struct socket *socket);
/* The shard is about to be freed; they may live on for a socket. */
void channels_leave(struct shard *shard);
/* Has no more to do with it; those that waited for its answer go on. */
void channel_leave(struct http_exchange *exchange);
/* The shard has been run: what it wrote goes out. */
void channels_after_run(const struct shard *shard);
/* How many requests are under way on each: for the client's most_streams. */
void channels_count(const struct shard *shard);
/* Of the connection that curl has for it, in CURLOPT_PREREQFUNCTION; NULL: it has no TLS. */
struct ssl_st *channel_tls(const struct http_exchange *exchange);
/* It has failed, and the server has not looked at it; and may be repeated at once. */
bool channel_is_unprocessed(const struct http_exchange *exchange);
bool channel_may_resend(const struct http_exchange *exchange, CURLcode result);
/* It is about to be: puts it back to before it was sent. */
void channel_resend(struct http_exchange *exchange);

/* channel_words.c */
/* The channel's connection is the exchange's, and has just been opened. */
void words_watch(struct http_exchange *exchange, struct channel *channel);
/* It is about to be sent on its channel; and has nothing to do with it any more. */
void words_begin(struct http_exchange *exchange);
void words_end(struct http_exchange *exchange);
/* The headers of the one that began last are out, or the shard has been run: it is listened to. */
void words_listen(struct channel *channel);
/* The CURLOPT_DEBUGFUNCTION of what may multiplex. */
int words_heard(CURL *easy, curl_infotype type, char *bytes, size_t len, void *exchange);

#endif
