/*
 * Any file of declared queues is refused with readable lines, or is a list that keeps what
 * declare.h promises.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "cli/queue/declared.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)16 << 20)

static void check_errors(const struct buf *errors)
{
	FUZZ_CHECK(errors->len > 0 && errors->data[errors->len - 1] == '\n');
	FUZZ_CHECK(utf8_is_valid(errors->data, errors->len));
	for (const char *line = errors->data; *line != '\0'; line = strchr(line, '\n') + 1) {
		FUZZ_CHECK(strncmp(line, "/proc/self/fd/", 14) == 0);
		for (const char *c = line; *c != '\n'; c++)
			FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
	}
}

static void check_declaration(const struct declaration *declaration)
{
	struct problem problem;

	FUZZ_CHECK(declare_check_name(declaration->name, &problem) == FAULT_NONE);
	for (size_t i = 0; i < declaration->attribute_count; i++) {
		const struct declared_pair *pair = &declaration->attributes[i];

		FUZZ_CHECK(
			declare_check_attribute(pair->name, pair->value, &problem) == FAULT_NONE);
		FUZZ_CHECK(strcmp(pair->name, "RedrivePolicy") != 0);
	}
	for (size_t i = 0; i < declaration->tag_count; i++)
		FUZZ_CHECK(declare_check_tag(declaration->tags[i].name, declaration->tags[i].value,
				   &problem) == FAULT_NONE);
	if (declaration->redrive_queue != NULL && declaration->redrive_queue[0] != '\0')
		FUZZ_CHECK(declaration->max_receives >= 1 && declaration->max_receives <= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf errors = BUF_INIT(OUTPUT_MAX);
	struct declared *declared = NULL;
	char path[32];
	int fd = memfd_create("queues", MFD_CLOEXEC), err;

	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = declared_load(path, &declared, &errors);
	close(fd);
	FUZZ_CHECK(err == 0 || err == ERR_CONFIG);
	if (err < 0) {
		check_errors(&errors);
	} else {
		const struct declarations *declarations = declared_list(declared);

		for (size_t i = 0; i < declarations->count; i++)
			check_declaration(&declarations->list[i]);
	}
	declared_free(declared);
	buf_free(&errors);
	return 0;
}
