#include "http/get.h"

#include "http/client.h"

#include <curl/curl.h>

static size_t take(char *data, size_t size, size_t count, void *arg)
{
	struct buf *answer = arg;

	buf_append(answer, data, size * count);
	return answer->err ? 0 : size * count;
}

static void set_options(
	CURL *easy, const char *url, const char *unix_path, int64_t timeout_ms, struct buf *answer)
{
	if (unix_path != NULL)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, unix_path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
}

int http_get(const char *url, const char *unix_path, int64_t timeout_ms, struct buf *answer)
{
	CURL *easy = http_client_prepare() == 0 ? curl_easy_init() : NULL;
	long status = 0;
	CURLcode code;

	if (easy == NULL) {
		buf_append_string(answer, "out of memory");
		return 0;
	}
	set_options(easy, url, unix_path, timeout_ms, answer);
	code = curl_easy_perform(easy);
	if (code == CURLE_OK) {
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	} else {
		buf_clear(answer);
		buf_append_string(answer, curl_easy_strerror(code));
	}
	curl_easy_cleanup(easy);
	return (int)status;
}
