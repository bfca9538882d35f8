/*
 * What a fuzz target is: a function that must survive every input. libFuzzer calls it, or
 * fuzz_main.c where that is not linked.
 *
 * A target checks what must hold and not only that nothing crashes: FUZZ_CHECK aborts, which
 * both drivers report with the input.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                   \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

#endif
