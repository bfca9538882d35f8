#include "localq/origin.h"

#include <stddef.h>

#define FOREIGN                                                                                    \
	"Requests from web pages of another origin are refused; only the admin page of this very " \
	"address may make them."
#define UNKNOWN_HOST                                                                          \
	"Browsers may reach this queue by an IP address, localhost or a name without a dot; " \
	"start bunshin queue with --page-host NAME to allow another name."

const char *origin_refusal(
	const struct origin_request *request, const char *const hosts[], size_t host_count)
{
	switch (origin_judge(request, hosts, host_count)) {
	case ORIGIN_FINE:
		return NULL;
	case ORIGIN_UNKNOWN_HOST:
		return UNKNOWN_HOST;
	case ORIGIN_FOREIGN:
	default:
		return FOREIGN;
	}
}
