/* What is taken as the container's URI leads, as libcurl reads it, to no host but the allowed. */
#include "fuzz.h"

#include "aws/credentials/container_uri.h"
#include "bunshin/error.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static bool is_allowed(const char *host)
{
	unsigned char ip[16];
	static const unsigned char loopback[16] = {[15] = 1};
	static const unsigned char pods[16] = {0xfd, 0, 0x0e, 0xc2, [15] = 0x23};
	char inside[64];

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "169.254.170.2") == 0 ||
		strcmp(host, "169.254.170.23") == 0)
		return true;
	if (inet_pton(AF_INET, host, ip) == 1)
		return ip[0] == 127;
	snprintf(inside, sizeof(inside), "%.*s", (int)strcspn(host + 1, "]"), host + 1);
	return host[0] == '[' && inet_pton(AF_INET6, inside, ip) == 1 &&
	       (memcmp(ip, loopback, 16) == 0 || memcmp(ip, pods, 16) == 0);
}

static void check_url(const char *text, bool relative)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;

	FUZZ_CHECK(url);
	for (const char *c = text; *c != '\0'; c++)
		FUZZ_CHECK(*c > ' ' && *c <= '~');
	if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
		FUZZ_CHECK(curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK);
		FUZZ_CHECK(curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK);
		FUZZ_CHECK(curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER);
		FUZZ_CHECK(strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
		FUZZ_CHECK(strcmp(scheme, "https") == 0 || is_allowed(host));
		FUZZ_CHECK(!relative || strcmp(host, "169.254.170.2") == 0);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	FUZZ_CHECK(text);
	for (int relative = 0; relative < 2; relative++) {
		struct buf url = BUF_INIT(4096);
		char reason[CREDENTIALS_REASON_MAX] = "";
		int err =
			container_uri(relative ? text : NULL, relative ? NULL : text, &url, reason);

		FUZZ_CHECK(err == 0 || (err == ERR_CONFIG && reason[0] != '\0' && url.len == 0));
		if (err == 0)
			check_url(buf_string(&url), relative);
		buf_free(&url);
	}
	FUZZ_CHECK(!container_token_is_valid(text) || strpbrk(text, "\r\n\t") == NULL);
	free(text);
	return 0;
}
