/*
 * A URL that the rules let through is one that libcurl takes apart in the same way: the host that
 * was compared is the host that is asked for. The first line is a rule, the rest the URL.
 */
#include "fuzz.h"

#include "bunshin/error.h"
#include "config/host_rule.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static char *part(CURLU *parsed, CURLUPart what, unsigned flags)
{
	char *text = NULL;

	curl_url_get(parsed, what, &text, flags);
	return text;
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcasecmp(text + len - end_len, end) == 0;
}

static void check_allowed(const struct host_rule *rule, const char *url)
{
	CURLU *parsed = curl_url();
	char *host, *port, *scheme, *user;
	char dotted[HOST_NAME_MAX_BYTES + 2];

	/* As the client does it, which lets only what is printable through. */
	for (const char *at = url; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			goto out;
	if (curl_url_set(parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS) != CURLUE_OK)
		goto out;
	host = part(parsed, CURLUPART_HOST, 0);
	port = part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	scheme = part(parsed, CURLUPART_SCHEME, 0);
	user = part(parsed, CURLUPART_USER, 0);
	snprintf(dotted, sizeof(dotted), ".%s", rule->name);
	FUZZ_CHECK(host != NULL && port != NULL && scheme != NULL && user == NULL);
	FUZZ_CHECK(rule->subdomains ? ends_in(host, dotted) : strcasecmp(host, rule->name) == 0);
	FUZZ_CHECK(atoi(port) == rule->port);
	FUZZ_CHECK(strcasecmp(scheme, rule->plain_http ? "http" : "https") == 0);
	curl_free(host);
	curl_free(port);
	curl_free(scheme);
out:
	curl_url_cleanup(parsed);
}

static void check_rule(const struct host_rule *rule)
{
	struct buf text = BUF_INIT(1000);
	struct host_rule again;

	FUZZ_CHECK(host_rule_append(rule, &text) == 0);
	FUZZ_CHECK(host_rule_parse(buf_string(&text), &again) == NULL);
	FUZZ_CHECK(memcmp(rule, &again, sizeof(again)) == 0);
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *url;
	struct buf reason = BUF_INIT(4096);
	struct host_rule rule;
	int err;

	FUZZ_CHECK(text);
	url = text + strcspn(text, "\n");
	if (*url != '\0')
		*url++ = '\0';
	if (host_rule_parse(text, &rule) != NULL)
		host_rule_parse("*.example.com", &rule);
	check_rule(&rule);
	err = host_rules_check(&rule, 1, url, &reason);
	FUZZ_CHECK(err == 0 || err == ERR_NOT_ALLOWED);
	FUZZ_CHECK((err == 0) == (reason.len == 0));
	for (size_t i = 0; i < reason.len; i++)
		FUZZ_CHECK(reason.data[i] >= ' ' && reason.data[i] <= '~');
	if (err == 0)
		check_allowed(&rule, url);
	buf_free(&reason);
	free(text);
	return 0;
}
