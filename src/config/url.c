#include "config/url.h"

#include <string.h>
#include <strings.h>

#define HOST_MAX_BYTES 253
#define QUEUE_NAME_MAX_BYTES 80

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static size_t scheme_bytes(const char *url)
{
	if (strncasecmp(url, "https://", 8) == 0)
		return 8;
	return strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
}

/* strspn() would write a table like this one at each call, and this is called for every message. */
static size_t name_bytes(const char *host)
{
	static const bool allowed[256] = {['0' ... '9'] = true,
		['A' ... 'Z'] = true,
		['a' ... 'z'] = true,
		['_'] = true,
		['.'] = true,
		['-'] = true};
	size_t len = 0;

	while (allowed[(unsigned char)host[len]])
		len++;
	return len;
}

static size_t host_bytes(const char *host)
{
	size_t len;

	if (host[0] == '[') {
		len = strspn(host + 1, "0123456789abcdefABCDEF:.");
		return len >= 2 && len <= 45 && host[1 + len] == ']' ? len + 2 : 0;
	}
	len = name_bytes(host);
	return len <= HOST_MAX_BYTES && host[0] != '.' && host[0] != '-' ? len : 0;
}

/* Of ":PORT", the colon included; 0: none, or not 1-65535. */
static size_t port_bytes(const char *text)
{
	unsigned port = 0;
	size_t len = 1;

	for (; text[len] >= '0' && text[len] <= '9' && len <= 6; len++)
		port = port * 10 + (unsigned)(text[len] - '0');
	return len <= 6 && port >= 1 && port <= 65535 ? len : 0;
}

size_t url_origin_bytes(const char *url)
{
	size_t scheme = scheme_bytes(url);
	size_t host = scheme == 0 ? 0 : host_bytes(url + scheme);
	size_t port;

	if (host == 0)
		return 0;
	if (url[scheme + host] != ':')
		return scheme + host;
	port = port_bytes(url + scheme + host);
	return port == 0 ? 0 : scheme + host + port;
}

bool url_is_endpoint(const char *url)
{
	size_t len = url_origin_bytes(url);

	return len > 0 && (url[len] == '\0' || strcmp(url + len, "/") == 0);
}

bool url_is_queue(const char *url)
{
	size_t len = url_origin_bytes(url);
	size_t account, name;

	if (len == 0 || url[len] != '/')
		return false;
	url += len + 1;
	account = strspn(url, ALPHANUMERIC "_-");
	if (account == 0 || account > 63 || url[account] != '/')
		return false;
	url += account + 1;
	name = strspn(url, ALPHANUMERIC "_-");
	if (name == 0 || name > QUEUE_NAME_MAX_BYTES)
		return false;
	return url[name] == '\0' ||
	       (strcmp(url + name, ".fifo") == 0 && name + 5 <= QUEUE_NAME_MAX_BYTES);
}

/* Behind the tag that starts here; the text compiles as a template, so the tag is closed. */
static const char *skip_tag(const char *tag)
{
	bool raw = tag[2] == '{';
	const char *end = strstr(tag + 2, raw ? "}}}" : "}}");

	return end + (raw ? 3 : 2);
}

static bool has_dot_segment(const char *path)
{
	size_t len;

	for (; *path == '/'; path += 1 + len) {
		len = strcspn(path + 1, "/?#");
		if ((len == 1 && path[1] == '.') || (len == 2 && path[1] == '.' && path[2] == '.'))
			return true;
	}
	return false;
}

bool url_is_base(const char *url)
{
	size_t origin = url_origin_bytes(url);

	if (origin == 0 || (url[origin] != '\0' && url[origin] != '/') ||
		has_dot_segment(url + origin))
		return false;
	for (const char *at = url + origin; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~' || strchr("\"<>\\^`{|}?#", *at) != NULL)
			return false;
	return true;
}

/* Of what stands beside the variables. */
static const char *literal_problem(const char *text)
{
	while (*text != '\0') {
		if (strncmp(text, "{{", 2) == 0) {
			text = skip_tag(text);
			continue;
		}
		if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}", *text) != NULL)
			return "holds a character that must be percent-encoded";
		text++;
	}
	return NULL;
}

bool url_template_chooses_host(const char *source)
{
	size_t scheme = scheme_bytes(source);
	const char *tag = strstr(source, "{{");

	return tag != NULL && tag < source + scheme + strcspn(source + scheme, "/?#");
}

const char *url_template_problem(const char *source)
{
	size_t origin = url_origin_bytes(source);
	const char *rest = source + origin;

	if (url_template_chooses_host(source))
		return "no variable may stand in the scheme, host or port without "
		       "request.allow_hosts";
	if (origin == 0 || strchr("/?#", rest[0]) == NULL)
		return "not an http or https URL with a host (like https://api.example.com/send)";
	if (has_dot_segment(rest))
		return "\".\" and \"..\" may not be steps of the path";
	return literal_problem(rest);
}

const char *url_chosen_template_problem(const char *source)
{
	const char *at = source + scheme_bytes(source);

	if (at == source && strncmp(source, "{{", 2) != 0)
		return "not an http or https URL (like https://{{host}}/hook), nor a variable that "
		       "holds one (like {{{url}}})";
	if (at == source && source[2] != '{')
		return "begins with a variable that would be percent-encoded; {{{ }}} leaves it "
		       "as it is";
	while (*at != '\0' && strchr("/?#", *at) == NULL) {
		if (strchr("@[]", *at) != NULL)
			return "no user, password or address may stand before the path";
		at = strncmp(at, "{{", 2) == 0 ? skip_tag(at) : at + 1;
	}
	if (*at == '/' && has_dot_segment(at))
		return "\".\" and \"..\" may not be steps of the path";
	return literal_problem(source);
}
