#include "config/host_rule.h"

#include "bunshin/error.h"

#include <string.h>
#include <strings.h>

#define LABEL_MAX_BYTES 63
#define HTTPS_PORT 443
#define HTTP_PORT 80

#define DIGITS "0123456789"
#define LABEL_CHARACTERS DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"

/* What stands before the path, borrowed from its text. */
struct authority {
	const char *name;
	size_t name_bytes;
	bool plain_http;
	uint16_t port;
};

/* Of "http://" or "https://", in any case. */
static size_t scheme_bytes(const char *text, bool *ret_plain_http)
{
	*ret_plain_http = strncasecmp(text, "http://", 7) == 0;
	if (*ret_plain_http)
		return 7;
	return strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
}

/* 127.1, 2130706433, 0x7f.1 and 017700000001 are addresses to who asks for them. */
static bool is_number(const char *label, size_t len)
{
	if (len >= 2 && label[0] == '0' && (label[1] | 32) == 'x')
		return strspn(label + 2, DIGITS "abcdefABCDEF") >= len - 2;
	return strspn(label, DIGITS) >= len;
}

static const char *label_problem(const char *label, size_t len)
{
	if (len == 0)
		return "has an empty label in its host";
	if (len > LABEL_MAX_BYTES)
		return "has a label of more than 63 bytes in its host";
	if (label[0] == '-' || label[len - 1] == '-')
		return "has a label that begins or ends with - in its host";
	return NULL;
}

static const char *name_problem(const char *name, size_t len)
{
	const char *problem = NULL;
	size_t at = 0, label = 0;

	if (len == 0)
		return "has no host";
	if (name[0] == '[')
		return "has an address for a host; only names are allowed";
	if (memchr(name, '%', len) != NULL)
		return "has a percent-encoded host";
	if (strspn(name, LABEL_CHARACTERS ".") < len)
		return "has a character in its host that no host name has";
	if (len > HOST_NAME_MAX_BYTES)
		return "has a host of more than 253 bytes";
	if (name[len - 1] == '.')
		return "has a dot at the end of its host";
	for (; at < len && problem == NULL; at += label + 1) {
		label = strspn(name + at, LABEL_CHARACTERS);
		if (label > len - at)
			label = len - at;
		problem = label_problem(name + at, label);
	}
	if (problem == NULL && is_number(name + len - label, label))
		return "has an address for a host; only names are allowed";
	return problem;
}

/* Behind the colon: 1 to 65535, in one way of writing it. */
static const char *take_port(const char *text, size_t len, uint16_t *ret_port)
{
	unsigned port = 0;

	if (len == 0 || len > 5 || strspn(text, DIGITS) < len || text[0] == '0')
		return "has a port that is not 1 to 65535";
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	if (port > 65535)
		return "has a port that is not 1 to 65535";
	*ret_port = (uint16_t)port;
	return NULL;
}

/* Behind the scheme. */
static const char *take_authority(const char *text, size_t len, struct authority *authority)
{
	const char *colon = memchr(text, ':', len);
	const char *problem = NULL;

	if (memchr(text, '@', len) != NULL)
		return "has a user before its host";
	authority->name = text;
	authority->name_bytes = colon != NULL && text[0] != '[' ? (size_t)(colon - text) : len;
	authority->port = authority->plain_http ? HTTP_PORT : HTTPS_PORT;
	problem = name_problem(text, authority->name_bytes);
	if (problem == NULL && authority->name_bytes < len)
		problem = take_port(colon + 1, len - authority->name_bytes - 1, &authority->port);
	return problem;
}

const char *host_rule_parse(const char *text, struct host_rule *ret_rule)
{
	struct host_rule rule = {0};
	struct authority authority;
	const char *problem;

	text += scheme_bytes(text, &authority.plain_http);
	if (text[strcspn(text, "/?#")] != '\0')
		return "has more than a host and a port";
	if (strncmp(text, "*.", 2) == 0) {
		rule.subdomains = true;
		text += 2;
	} else if (text[0] == '*') {
		return "names no host";
	}
	problem = take_authority(text, strlen(text), &authority);
	if (problem != NULL)
		return problem;
	if (rule.subdomains && memchr(authority.name, '.', authority.name_bytes) == NULL)
		return "has fewer than two labels behind its *";
	for (size_t i = 0; i < authority.name_bytes; i++) {
		char c = authority.name[i];

		rule.name[i] = c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
	}
	rule.plain_http = authority.plain_http;
	rule.port = authority.port;
	*ret_rule = rule;
	return NULL;
}

int host_rule_append(const struct host_rule *rule, struct buf *out)
{
	int err = buf_appendf(out, "%s%s%s", rule->plain_http ? "http://" : "",
		rule->subdomains ? "*." : "", rule->name);

	if (err == 0 && rule->port != (rule->plain_http ? HTTP_PORT : HTTPS_PORT))
		err = buf_appendf(out, ":%u", rule->port);
	return err;
}

static bool name_fits(const struct host_rule *rule, const char *name, size_t len)
{
	size_t rule_bytes = strlen(rule->name);

	if (!rule->subdomains)
		return len == rule_bytes && strncasecmp(name, rule->name, len) == 0;
	return len > rule_bytes + 1 && name[len - rule_bytes - 1] == '.' &&
	       strncasecmp(name + len - rule_bytes, rule->name, rule_bytes) == 0;
}

static bool fits(const struct host_rule *rule, const struct authority *authority)
{
	return rule->plain_http == authority->plain_http && rule->port == authority->port &&
	       name_fits(rule, authority->name, authority->name_bytes);
}

static int refuse(struct buf *reason)
{
	return reason->err == ERR_NOMEM ? ERR_NOMEM : ERR_NOT_ALLOWED;
}

int host_rules_check(
	const struct host_rule *rules, size_t count, const char *url, struct buf *reason)
{
	struct authority authority;
	size_t scheme = scheme_bytes(url, &authority.plain_http);
	const char *problem = scheme == 0 ? "is not an https URL" : NULL;

	if (problem == NULL)
		problem = take_authority(url + scheme, strcspn(url + scheme, "/?#"), &authority);
	if (problem != NULL) {
		buf_appendf(reason, "the URL %s", problem);
		return refuse(reason);
	}
	for (size_t i = 0; i < count; i++)
		if (fits(&rules[i], &authority))
			return 0;
	buf_appendf(reason, "request.allow_hosts has no %s%.*s:%u",
		authority.plain_http ? "http://" : "https://", (int)authority.name_bytes,
		authority.name, authority.port);
	return refuse(reason);
}
