/* The journal's row that says what the campaign is, and the checksums of all rows. */
#include "base/siphash.h"
#include "bunshin/error.h"
#include "campaign/journal_private.h"

#include <stdlib.h>
#include <string.h>

enum { SHAS = 2, NUMBERS = 7 };

/* Columns in the order of the table, behind `id`. */
static const struct {
	size_t offset;
	bool needed;
} texts[JOURNAL_TEXTS] = {
	{offsetof(struct journal_campaign, name), true},
	{offsetof(struct journal_campaign, list), true},
	{offsetof(struct journal_campaign, list_format), true},
	{offsetof(struct journal_campaign, template_file), false},
	{offsetof(struct journal_campaign, key_column), false},
	{offsetof(struct journal_campaign, group_column), false},
	{offsetof(struct journal_campaign, rules), false},
	{offsetof(struct journal_campaign, suppression), false},
	{offsetof(struct journal_campaign, destination), false},
	{offsetof(struct journal_campaign, queue_url), true},
	{offsetof(struct journal_campaign, endpoint), false},
};

static const char **text_of(struct journal_campaign *campaign, int i)
{
	return (const char **)(void *)((char *)campaign + texts[i].offset);
}

/* checksums */

void journal_sum_number(struct buf *text, int64_t number)
{
	unsigned char bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)((uint64_t)number >> (8 * i));
	buf_append(text, bytes, sizeof(bytes));
}

void journal_sum_bytes(struct buf *text, const void *bytes, size_t len)
{
	journal_sum_number(text, (int64_t)len);
	buf_append(text, bytes, len);
}

int64_t journal_sum(char kind, const struct buf *text)
{
	uint8_t key[SIPHASH_KEY_BYTES] = "bunshin journal";
	uint64_t hash[2];

	key[SIPHASH_KEY_BYTES - 1] = (uint8_t)kind;
	siphash_128(key, buf_string(text), text->len, hash);
	return (int64_t)hash[0];
}

/* *ret_sum of the row with these numbers. 0 or ERR_NOMEM. */
static int sum_campaign(
	struct journal_campaign *campaign, const int64_t numbers[NUMBERS], int64_t *ret_sum)
{
	struct buf text = BUF_INIT((JOURNAL_TEXTS + 1) * (JOURNAL_TEXT_MAX + 16));
	int rc;

	for (int i = 0; i < JOURNAL_TEXTS; i++) {
		const char *value = *text_of(campaign, i);

		journal_sum_number(&text, value != NULL);
		if (value)
			journal_sum_bytes(&text, value, strlen(value));
	}
	buf_append(&text, campaign->list_sha256, JOURNAL_SHA256_BYTES);
	buf_append(&text, campaign->template_sha256, JOURNAL_SHA256_BYTES);
	for (int i = 0; i < NUMBERS; i++)
		journal_sum_number(&text, numbers[i]);
	rc = text.err;
	*ret_sum = journal_sum('c', &text);
	buf_free(&text);
	return rc;
}

/* writing */

int journal_campaign_store(struct journal *journal, const struct journal_campaign *campaign)
{
	sqlite3_stmt *put = journal->statements[JOURNAL_CAMPAIGN_PUT];
	struct journal_campaign copy = *campaign;
	const int64_t numbers[NUMBERS] = {copy.skip_invalid, copy.deadline_epoch_ms,
		copy.at_epoch_ms, (int64_t)copy.rows, (int64_t)copy.valid, journal->begun_epoch_ms,
		journal->finished_epoch_ms};
	int64_t sum;
	int at = 1, rc = sum_campaign(&copy, numbers, &sum);

	if (rc < 0)
		return rc;
	for (int i = 0; i < JOURNAL_TEXTS; i++)
		sqlite3_bind_text(put, at++, *text_of(&copy, i), -1, SQLITE_STATIC);
	sqlite3_bind_blob(put, at++, copy.list_sha256, JOURNAL_SHA256_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(put, at++, copy.template_sha256, JOURNAL_SHA256_BYTES, SQLITE_STATIC);
	for (int i = 0; i < NUMBERS; i++)
		sqlite3_bind_int64(put, at++, numbers[i]);
	sqlite3_bind_int64(put, at, sum);
	rc = journal_step(journal, JOURNAL_CAMPAIGN_PUT);
	sqlite3_clear_bindings(put);
	return rc;
}

/* reading */

/* 0 with *ret, NULL for none; ERR_SYNTAX: it is none of ours; ERR_NOMEM. */
static int read_text(sqlite3_stmt *row, int column, bool needed, char **ret)
{
	const char *text;

	*ret = NULL;
	if (sqlite3_column_type(row, column) == SQLITE_NULL)
		return needed ? ERR_SYNTAX : 0;
	if (sqlite3_column_type(row, column) != SQLITE_TEXT)
		return ERR_SYNTAX;
	text = (const char *)sqlite3_column_text(row, column);
	if (!text)
		return ERR_NOMEM;
	if (strlen(text) != (size_t)sqlite3_column_bytes(row, column) ||
		strlen(text) > JOURNAL_TEXT_MAX)
		return ERR_SYNTAX;
	*ret = strdup(text);
	return *ret ? 0 : ERR_NOMEM;
}

static int read_sha(sqlite3_stmt *row, int column, unsigned char ret[JOURNAL_SHA256_BYTES])
{
	const void *blob = sqlite3_column_blob(row, column);

	if (!blob || sqlite3_column_bytes(row, column) != JOURNAL_SHA256_BYTES)
		return ERR_SYNTAX;
	memcpy(ret, blob, JOURNAL_SHA256_BYTES);
	return 0;
}

static bool are_plausible(const int64_t numbers[NUMBERS])
{
	if (numbers[0] != 0 && numbers[0] != 1)
		return false;
	for (int i = 1; i < NUMBERS; i++)
		if (numbers[i] < 0)
			return false;
	return (uint64_t)numbers[3] <= JOURNAL_ROWS_MAX && numbers[4] <= numbers[3];
}

/* The row at which `row` stands; *ret's texts are texts[], to be freed also after a failure. */
static int read_row(sqlite3_stmt *row, char *copies[JOURNAL_TEXTS], struct journal_campaign *ret,
	int64_t numbers[NUMBERS])
{
	int64_t sum;
	int column = 1, rc = 0;

	for (int i = 0; i < JOURNAL_TEXTS && rc == 0; i++) {
		rc = read_text(row, column++, texts[i].needed, &copies[i]);
		*text_of(ret, i) = copies[i];
	}
	if (rc == 0)
		rc = read_sha(row, column++, ret->list_sha256);
	if (rc == 0)
		rc = read_sha(row, column++, ret->template_sha256);
	if (rc < 0)
		return rc;
	for (int i = 0; i < NUMBERS; i++)
		numbers[i] = sqlite3_column_int64(row, column++);
	rc = sum_campaign(ret, numbers, &sum);
	if (rc == 0 && (sum != sqlite3_column_int64(row, column) || !are_plausible(numbers)))
		rc = ERR_SYNTAX;
	ret->skip_invalid = numbers[0] != 0;
	ret->deadline_epoch_ms = numbers[1];
	ret->at_epoch_ms = numbers[2];
	ret->rows = (uint64_t)numbers[3];
	ret->valid = (uint64_t)numbers[4];
	return rc;
}

/* The texts of a campaign never change: those lent out already stay. */
static void take_texts(
	struct journal *journal, struct journal_campaign *campaign, char *copies[JOURNAL_TEXTS])
{
	bool first = !journal->campaign.name;

	for (int i = 0; i < JOURNAL_TEXTS; i++) {
		if (first) {
			journal->texts[i] = copies[i];
			copies[i] = NULL;
		}
		*text_of(campaign, i) = journal->texts[i];
	}
	campaign->pack = journal->pack;
	campaign->pack_field = journal->pack_field;
	journal->campaign = *campaign;
}

int journal_campaign_load(struct journal *journal)
{
	struct journal_campaign campaign = {.name = NULL};
	char *copies[JOURNAL_TEXTS] = {NULL};
	int64_t numbers[NUMBERS];
	int rc = journal_step(journal, JOURNAL_CAMPAIGN_GET);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return journal_damaged(journal, "the campaign is missing");
	rc = read_row(journal->statements[JOURNAL_CAMPAIGN_GET], copies, &campaign, numbers);
	journal_reset(journal, JOURNAL_CAMPAIGN_GET);
	if (rc == 0) {
		take_texts(journal, &campaign, copies);
		journal->begun_epoch_ms = numbers[5];
		journal->finished_epoch_ms = numbers[6];
	}
	for (int i = 0; i < JOURNAL_TEXTS; i++)
		free(copies[i]);
	return rc == ERR_SYNTAX ? journal_damaged(journal, "the campaign's checksum is wrong") : rc;
}

void journal_campaign_free(struct journal *journal)
{
	for (int i = 0; i < JOURNAL_TEXTS; i++)
		free(journal->texts[i]);
}
