/*
 * What check_address_guard.py asks the code: of each address of standard input, one a line, whether
 * a request may go there whose host a message has chosen: "public", or what the address is.
 */
#include "http/address_guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	const struct address_guard guard = {0};
	char line[128];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct sockaddr_in ipv4 = {.sin_family = AF_INET};
		struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
		const struct sockaddr *address = (const struct sockaddr *)&ipv4;
		const char *problem;

		line[strcspn(line, "\n")] = '\0';
		if (inet_pton(AF_INET6, line, &ipv6.sin6_addr) == 1)
			address = (const struct sockaddr *)&ipv6;
		else if (inet_pton(AF_INET, line, &ipv4.sin_addr) != 1)
			return 1;
		problem = address_guard_problem(&guard, address);
		puts(problem != NULL ? problem : "public");
	}
	return 0;
}
