/* Whatever is logged, the line is one line of valid JSON and holds no secret. */
#include "fuzz.h"

#include "base/json.h"
#include "base/log.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECRET "n\"s3cr\\t"

static size_t log_to(int fd, enum log_format format, const uint8_t *data, size_t size,
	char text[LOG_LINE_MAX + 1])
{
	ssize_t len;

	FUZZ_CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	log_configure(LOG_LEVEL_INFO, format, fd, NULL);
	log_info("message", LOG_BYTES("first", (const char *)data, size), LOG_INT("number", size),
		LOG_BYTES("second", (const char *)data + size / 2, size - size / 2));
	len = pread(fd, text, LOG_LINE_MAX + 1, 0);
	FUZZ_CHECK(len > 0 && len <= LOG_LINE_MAX);
	FUZZ_CHECK(memchr(text, '\n', (size_t)len) == text + len - 1);
	FUZZ_CHECK(!memmem(text, (size_t)len, SECRET, strlen(SECRET)));
	return (size_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[LOG_LINE_MAX + 1];
	static int fd = -1;
	struct json json = {0};
	size_t len;

	if (fd < 0)
		fd = memfd_create("log", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(log_add_secret(SECRET) == 0 && log_add_secret("s3cr") == 0);
	len = log_to(fd, LOG_FORMAT_JSON, data, size, text);
	FUZZ_CHECK(json_parse(&json, text, len) == 0);
	FUZZ_CHECK(!memmem(text, len, "s3cr", 4));
	json_free(&json);
	len = log_to(fd, LOG_FORMAT_TEXT, data, size, text);
	for (size_t i = 0; i < len - 1; i++)
		FUZZ_CHECK((unsigned char)text[i] >= 0x20 && text[i] != 0x7F);
	log_clear_secrets();
	return 0;
}
