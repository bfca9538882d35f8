/*
 * For check_endpoint_botocore.py. Reads "SERVICE REGION FIPS DUAL_STACK" a line, the last two as 0
 * or 1; prints the endpoint's origin and what endpoint_read_name() reads back out of it: kind,
 * region and variant.
 */
#include "aws/endpoint.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
	char line[400];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		char service[64], region[128];
		int fips, dual_stack;
		struct endpoint endpoint;
		struct endpoint_name name;

		if (sscanf(line, "%63s %127s %d %d", service, region, &fips, &dual_stack) != 4)
			return 1;
		if (endpoint_of_region(service, region,
			    (struct endpoint_variant){fips != 0, dual_stack != 0}, &endpoint) != 0)
			return 1;
		endpoint_read_name(&endpoint, &name);
		printf("%s %d %s %d %d\n", endpoint.origin, name.kind == ENDPOINT_REGIONAL,
			name.region, name.variant.fips, name.variant.dual_stack);
	}
	return 0;
}
