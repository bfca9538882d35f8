#include "http/http2_tls.h"

#include "bunshin/error.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char h2[] = {2, 'h', '2'};

struct http2_tls_context {
	SSL_CTX *ssl;
};

struct http2_tls {
	SSL *ssl;
	BIO *in, *out; /* the connection's */
	bool open;
};

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_len, h2, sizeof(h2), in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int fail(char *error, size_t error_bytes, const char *what, const char *file)
{
	unsigned long code = ERR_peek_error(); /* the first is the cause */
	const char *why = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
						 : ERR_reason_error_string(code);

	snprintf(error, error_bytes, "cannot use the %s %s: %s", what, file,
		why != NULL ? why : "TLS refuses it");
	ERR_clear_error();
	return ERR_TLS;
}

int http2_tls_context_new(const char *certificate, const char *key, char *error, size_t error_bytes,
	struct http2_tls_context **ret_context)
{
	struct http2_tls_context *context = calloc(1, sizeof(*context));
	int err = 0;

	if (context == NULL || (context->ssl = SSL_CTX_new(TLS_server_method())) == NULL) {
		free(context);
		return ERR_NOMEM;
	}
	SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION); /* RFC 9113, 9.2 */
	SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(context->ssl, choose_h2, NULL);
	if (SSL_CTX_use_certificate_chain_file(context->ssl, certificate) != 1)
		err = fail(error, error_bytes, "certificate", certificate);
	else if (SSL_CTX_use_PrivateKey_file(context->ssl, key, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(context->ssl) != 1)
		err = fail(error, error_bytes, "key", key);
	ERR_clear_error();
	if (err != 0) {
		http2_tls_context_free(context);
		return err;
	}
	*ret_context = context;
	return 0;
}

void http2_tls_context_free(struct http2_tls_context *context)
{
	if (context == NULL)
		return;
	SSL_CTX_free(context->ssl);
	free(context);
}

struct http2_tls *http2_tls_new(struct http2_tls_context *context)
{
	struct http2_tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		return NULL;
	tls->ssl = SSL_new(context->ssl);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
		SSL_free(tls->ssl);
		BIO_free(tls->in);
		BIO_free(tls->out);
		free(tls);
		return NULL;
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out); /* takes both */
	SSL_set_accept_state(tls->ssl);
	return tls;
}

void http2_tls_free(struct http2_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	free(tls);
}

static int take_out(struct http2_tls *tls, struct buf *out)
{
	char *bytes;
	long len = BIO_get_mem_data(tls->out, &bytes);

	if (len > 0 && buf_append(out, bytes, (size_t)len) != 0)
		return ERR_NOMEM;
	(void)BIO_reset(tls->out);
	return 0;
}

/* What OpenSSL says of a call that did not do it: 0 when it wants more bytes. */
static int judge(struct http2_tls *tls, int code, struct buf *out)
{
	int reason = SSL_get_error(tls->ssl, code);
	int err = take_out(tls, out);

	ERR_clear_error();
	if (err != 0)
		return err;
	return reason == SSL_ERROR_WANT_READ ? 0 : ERR_TLS;
}

static bool agreed_on_h2(const struct http2_tls *tls)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(tls->ssl, &name, &len);
	return len == 2 && memcmp(name, "h2", 2) == 0;
}

int http2_tls_take(struct http2_tls *tls, const void *bytes, size_t len, struct buf *out)
{
	int code;

	if (len > INT_MAX || BIO_write(tls->in, bytes, (int)len) != (int)len)
		return ERR_NOMEM;
	if (tls->open)
		return 0;
	ERR_clear_error();
	code = SSL_accept(tls->ssl);
	if (code != 1)
		return judge(tls, code, out);
	if (!agreed_on_h2(tls))
		return ERR_TLS;
	tls->open = true;
	return take_out(tls, out);
}

long http2_tls_read(struct http2_tls *tls, void *bytes, size_t size, struct buf *out)
{
	int n;

	if (!tls->open)
		return 0;
	ERR_clear_error();
	n = SSL_read(tls->ssl, bytes, size < INT_MAX ? (int)size : INT_MAX);
	return n > 0 ? n : judge(tls, n, out);
}

bool http2_tls_is_open(const struct http2_tls *tls)
{
	return tls->open;
}

int http2_tls_write(struct http2_tls *tls, const void *bytes, size_t len, struct buf *out)
{
	if (len == 0)
		return 0;
	ERR_clear_error();
	if (len > INT_MAX || SSL_write(tls->ssl, bytes, (int)len) != (int)len) {
		ERR_clear_error();
		return ERR_TLS;
	}
	return take_out(tls, out);
}
