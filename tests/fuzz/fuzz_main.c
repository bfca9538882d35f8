/*
 * The driver without libFuzzer: runs the target on every file of a corpus directory, then on
 * mutations of them. The same seed gives the same inputs everywhere.
 *
 *	fuzz_NAME DIRECTORY|FILE...	FUZZ_SEED=1 FUZZ_ROUNDS=10000 change the defaults
 *
 * The input under test is always in NAME.input: after a crash, run the target on that file.
 */
#include "fuzz.h"

#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_LIMIT 65536
#define SEED 1
#define ROUNDS 10000

struct input {
	uint8_t *bytes;
	size_t len;
};

static struct input *corpus;
static size_t corpus_count;
static int record = -1; /* descriptor of NAME.input */
static struct random generator;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s: %s\n", name, what, strerror(errno));
	exit(2);
}

static size_t below(size_t bound)
{
	return (size_t)random_below(random_next(&generator), bound);
}

/* From memory of exactly its size, so that the sanitizer sees the first byte read past it. */
static void run(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	if (!exact)
		die("malloc", "input");
	memcpy(exact, bytes, len);
	if (record >= 0 && (ftruncate(record, (off_t)len) != 0 ||
				   pwrite(record, exact, len, 0) != (ssize_t)len))
		die("write", "the record of the input");
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static void add_file(const char *path)
{
	struct input input = {.bytes = malloc(SIZE_LIMIT)};
	FILE *file = fopen(path, "rb");

	if (!file || !input.bytes)
		die("open", path);
	input.len = fread(input.bytes, 1, SIZE_LIMIT, file);
	if (ferror(file))
		die("read", path);
	fclose(file);
	corpus = realloc(corpus, (corpus_count + 1) * sizeof(*corpus));
	if (!corpus)
		die("realloc", path);
	corpus[corpus_count++] = input;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* In the order of the names, or a seed would not mean the same everywhere. */
static void add_directory(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_visible, alphasort);

	if (count < 0)
		die("list", path);
	for (int i = 0; i < count; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		add_file(file);
		free(entries[i]);
	}
	free(entries);
}

static void insert(struct input *input, size_t at, const uint8_t *bytes, size_t len)
{
	if (len > SIZE_LIMIT - input->len)
		len = SIZE_LIMIT - input->len;
	memmove(input->bytes + at + len, input->bytes + at, input->len - at);
	memcpy(input->bytes + at, bytes, len);
	input->len += len;
}

static void erase(struct input *input, size_t at, size_t len)
{
	memmove(input->bytes + at, input->bytes + at + len, input->len - at - len);
	input->len -= len;
}

static void mutate(struct input *input)
{
	static const uint8_t telling[] =
		"\0\x01\x1F \"'\\/{}[]<>&%:;,.+-0123456789eEuU\x7F\x80\xBF\xC0"
		"\xC2\xE0\xED\xEF\xF0\xF4\xFF\n\r\t";
	const struct input *other = &corpus[below(corpus_count)];
	size_t at = below(input->len + 1), len = 1 + below(input->len - at < 16 ? 4 : 16);
	uint8_t piece[64];

	if (len > input->len - at)
		len = input->len - at;
	switch (below(6)) {
	case 0:
		if (len)
			input->bytes[at] ^= (uint8_t)(1 << below(8));
		break;
	case 1:
		insert(input, at, telling + below(sizeof(telling) - 1), 1);
		break;
	case 2:
		if (len)
			input->bytes[at] = telling[below(sizeof(telling) - 1)];
		break;
	case 3:
		erase(input, at, len);
		break;
	case 4:
		memcpy(piece, input->bytes + at, len);
		insert(input, below(input->len + 1), piece, len);
		break;
	default:
		len = other->len < sizeof(piece) ? other->len : sizeof(piece);
		memcpy(piece, other->bytes + below(other->len - len + 1), len);
		insert(input, at, piece, len);
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_mutations(uint64_t seed, uint64_t rounds)
{
	static uint8_t bytes[SIZE_LIMIT];

	random_seed(&generator, seed);
	for (uint64_t i = 0; i < rounds; i++) {
		const struct input *from = &corpus[below(corpus_count)];
		struct input input = {.bytes = bytes, .len = from->len};

		memcpy(bytes, from->bytes, from->len);
		for (size_t n = 1 + below(5); n > 0; n--)
			mutate(&input);
		run(bytes, input.len);
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = setting("FUZZ_SEED", SEED), rounds = setting("FUZZ_ROUNDS", ROUNDS);
	const char *slash = strrchr(argv[0], '/');
	bool replay = true;
	char name[256];

	for (int i = 1; i < argc; i++) {
		struct stat status;

		if (stat(argv[i], &status) != 0)
			die("stat", argv[i]);
		if (S_ISDIR(status.st_mode)) {
			add_directory(argv[i]);
			replay = false;
		} else {
			add_file(argv[i]);
		}
	}
	if (corpus_count == 0) {
		fprintf(stderr, "%s: no input; give a corpus directory or files\n", argv[0]);
		return 2;
	}
	if (!replay) {
		snprintf(name, sizeof(name), "%s.input", slash ? slash + 1 : argv[0]);
		record = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (record < 0)
			die("create", name);
	}
	printf("seed %" PRIu64 ", %zu inputs, %" PRIu64 " mutations\n", seed, corpus_count,
		replay ? 0 : rounds);
	fflush(stdout);
	for (size_t i = 0; i < corpus_count; i++)
		run(corpus[i].bytes, corpus[i].len);
	if (!replay) {
		run_mutations(seed, rounds);
		close(record);
		unlink(name);
	}
	for (size_t i = 0; i < corpus_count; i++)
		free(corpus[i].bytes);
	free(corpus);
	return 0;
}
