#include "cli/queue/welcome.h"

#include "localq/service.h"
#include "localq/text.h"

#include <string.h>

#define ADDRESS_MAX 256
#define FIRST_QUEUE "morning"
#define DECLARED_SHOWN_MAX 20

/* Where a client on this machine finds it: "all addresses" is none to connect to. */
static void local_address(const char *address, char ret[ADDRESS_MAX])
{
	const char *port = strrchr(address, ':');

	if (port != NULL && strncmp(address, "0.0.0.0:", 8) == 0)
		snprintf(ret, ADDRESS_MAX, "127.0.0.1%s", port);
	else if (port != NULL && strncmp(address, "[::]:", 5) == 0)
		snprintf(ret, ADDRESS_MAX, "[::1]%s", port);
	else
		snprintf(ret, ADDRESS_MAX, "%s", address);
}

/* Loopback, or something else that others may reach? */
static bool is_open_to_others(const char *address)
{
	return strncmp(address, "127.", 4) != 0 && strncmp(address, "[::1]:", 6) != 0;
}

static void print_declared(const struct welcome *welcome, const char *address, FILE *out)
{
	static const char *const outcomes[] = {
		[DECLARED_AS_IT_WAS] = "as it was",
		[DECLARED_CREATED] = "created",
		[DECLARED_CHANGED] = "changed",
	};
	const struct declarations *declarations = welcome->declarations;
	size_t shown = declarations->count;

	if (shown > DECLARED_SHOWN_MAX)
		shown = DECLARED_SHOWN_MAX;
	fprintf(out, "queues of %s:\n", welcome->config);
	for (size_t i = 0; i < shown; i++)
		fprintf(out, "  http://%s/%s/%s  # %s\n", address, SERVICE_ACCOUNT,
			declarations->list[i].name, outcomes[declarations->list[i].outcome]);
	if (shown < declarations->count)
		fprintf(out, "  # and %zu more\n", declarations->count - shown);
}

static void print_export(const struct welcome *welcome, const char *address, FILE *out)
{
	bool keyed = welcome->access_key != NULL;

	fprintf(out,
		"\n  export AWS_ENDPOINT_URL_SQS=http://%s AWS_REGION=%s AWS_ACCESS_KEY_ID=%s "
		"AWS_SECRET_ACCESS_KEY=%s\n\n",
		address, welcome->region, keyed ? welcome->access_key : "local",
		keyed ? "..." : "local");
}

/* Without a declared queue one is created first, else a message is sent to the first of them. */
static void print_first_command(const struct welcome *welcome, const char *address, FILE *out)
{
	const struct declarations *declarations = welcome->declarations;
	bool declared = declarations != NULL && declarations->count > 0;
	const char *name = declared ? declarations->list[0].name : FIRST_QUEUE;
	const char *group = text_ends_in_fifo(name, strlen(name))
				    ? ",\"MessageGroupId\":\"a\","
				      "\"MessageDeduplicationId\":\"1\""
				    : "";

	fprintf(out, "then, for a first %s%s:\n\n", declared ? "message" : "queue",
		welcome->access_key != NULL ? " (with a client that signs)" : "");
	fprintf(out,
		"  curl -s -H 'X-Amz-Target: AmazonSQS.%s' "
		"-H 'Content-Type: application/x-amz-json-1.0' -d ",
		declared ? "SendMessage" : "CreateQueue");
	if (declared)
		fprintf(out, "'{\"QueueUrl\":\"/%s\",\"MessageBody\":\"hello\"%s}'", name, group);
	else
		fprintf(out, "'{\"QueueName\":\"%s\"}'", name);
	fprintf(out, " http://%s/\n\n", address);
	fprintf(out,
		"and with that queue:\n\n"
		"  bunshin campaign send --queue-url http://%s/%s/%s --recipients list.csv\n"
		"  bunshin run -c bunshin.yaml --queue-url http://%s/%s/%s\n\n",
		address, SERVICE_ACCOUNT, name, address, SERVICE_ACCOUNT, name);
}

void welcome_print(const struct welcome *welcome, FILE *out)
{
	char address[ADDRESS_MAX];

	local_address(welcome->address, address);
	fprintf(out, "listening on http://%s\n", welcome->address);
	if (welcome->dir == NULL)
		fprintf(out, "queues are kept in memory only\n");
	else
		fprintf(out, "queues are kept in %s\n", welcome->dir);
	if (welcome->access_key == NULL)
		fprintf(out, "admin page: http://%s/\n", address);
	else
		fprintf(out, "only signed requests are taken, so the admin page is off\n");
	if (welcome->access_key == NULL && is_open_to_others(welcome->address))
		fprintf(out,
			"whoever reaches this address may use it; --access-key changes that\n");
	if (welcome->declarations != NULL && welcome->declarations->count > 0)
		print_declared(welcome, address, out);
	print_export(welcome, address, out);
	print_first_command(welcome, address, out);
	fflush(out);
}
