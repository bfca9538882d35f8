/* What Google answers, the file of an account, and a table of tokens of any content. */
#include "fuzz.h"

#include "signing/google.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1800000000000)

static void read_answer(const uint8_t *data, size_t size)
{
	struct buf reason = BUF_INIT(4096);
	struct token token;
	int status = size == 0 || data[0] != 'x' ? 200 : 400;

	if (google_answer_read(status, (const char *)data, size, NOW, &token, &reason) == 0) {
		assert(strlen(token.text) > 0 && strpbrk(token.text, "\r\n ") == NULL);
		assert(token.ends_epoch_ms > NOW);
	} else {
		assert(token.text[0] == '\0' && reason.len > 0);
	}
	buf_free(&reason);
}

static void read_table(const uint8_t *data, size_t size)
{
	static const uint8_t identity[TOKEN_IDENTITY_BYTES] = "fuzz";
	unsigned char *memory = calloc(1, TOKEN_FILE_BYTES);
	struct buf reason = BUF_INIT(4096);
	struct token_slot *slot;
	struct token token;

	if (memory == NULL)
		return;
	token_file.format(NULL, memory, TOKEN_FILE_BYTES);
	for (size_t at = 64, i = 0; size > 0 && at < TOKEN_FILE_BYTES; at++, i++)
		memory[at] = data[i % size];
	token_file.check(NULL, memory, size < TOKEN_FILE_BYTES ? size : TOKEN_FILE_BYTES, &reason);
	slot = token_slot_of(memory, TOKEN_FILE_BYTES, identity, NOW);
	if (slot != NULL && token_read(slot, identity, NOW, &token))
		assert(strlen(token.text) > 0);
	buf_free(&reason);
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct google_account *account = NULL;
	const char *problem;

	if (google_account_read((const char *)data, size, &account, &problem) == 0)
		google_account_free(account);
	read_answer(data, size);
	read_table(data, size);
	return 0;
}
