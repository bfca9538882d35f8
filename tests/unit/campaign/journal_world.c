#include "journal_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char journal_world_path[128];
static char directory[64];

int journal_world_enter(void **state)
{
	strcpy(directory, "/tmp/bunshin-journal-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(journal_world_path, sizeof(journal_world_path), "%s/morning.campaign", directory);
	return 0;
}

void journal_world_clean(void)
{
	static const char *const endings[] = {
		"", "-wal", "-shm", "-journal", ".lock", ".new", ".new-journal"};
	char name[160];

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", journal_world_path, endings[i]);
		unlink(name);
	}
}

int journal_world_leave(void **state)
{
	journal_world_clean();
	return rmdir(directory);
}

struct journal_campaign journal_world_campaign(void)
{
	struct journal_campaign campaign = {
		.name = "morning",
		.list = "/lists/morning.csv",
		.list_format = "csv",
		.template_file = "/lists/morning.json",
		.key_column = "to",
		.group_column = "shop",
		.pack = 500,
		.pack_field = "to",
		.rules = "to=line\nphone=e164",
		.suppression = "/lists/gone.txt",
		.destination = "line",
		.queue_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/morning",
		.endpoint = "https://127.0.0.1:9324",
		.skip_invalid = true,
		.deadline_epoch_ms = JOURNAL_WORLD_BEGUN + 3600000,
		.at_epoch_ms = JOURNAL_WORLD_BEGUN + 60000,
		.rows = JOURNAL_WORLD_ROWS,
		.valid = JOURNAL_WORLD_ROWS - 10,
	};

	memset(campaign.list_sha256, 0x5a, JOURNAL_SHA256_BYTES);
	memset(campaign.template_sha256, 0xa5, JOURNAL_SHA256_BYTES);
	return campaign;
}

void journal_world_assert_campaign(const struct journal_campaign *found)
{
	struct journal_campaign expected = journal_world_campaign();

	assert_string_equal(found->name, expected.name);
	assert_string_equal(found->list, expected.list);
	assert_string_equal(found->list_format, expected.list_format);
	assert_memory_equal(found->list_sha256, expected.list_sha256, JOURNAL_SHA256_BYTES);
	assert_string_equal(found->template_file, expected.template_file);
	assert_memory_equal(found->template_sha256, expected.template_sha256, JOURNAL_SHA256_BYTES);
	assert_string_equal(found->key_column, expected.key_column);
	assert_string_equal(found->group_column, expected.group_column);
	assert_int_equal(found->pack, expected.pack);
	assert_string_equal(found->pack_field, expected.pack_field);
	assert_string_equal(found->rules, expected.rules);
	assert_string_equal(found->suppression, expected.suppression);
	assert_string_equal(found->destination, expected.destination);
	assert_string_equal(found->queue_url, expected.queue_url);
	assert_string_equal(found->endpoint, expected.endpoint);
	assert_int_equal(found->skip_invalid, expected.skip_invalid);
	assert_int_equal(found->deadline_epoch_ms, expected.deadline_epoch_ms);
	assert_int_equal(found->at_epoch_ms, expected.at_epoch_ms);
	assert_int_equal(found->rows, expected.rows);
	assert_int_equal(found->valid, expected.valid);
}

int journal_world_begin_as(const struct journal_campaign *campaign, int64_t now_epoch_ms,
	struct journal **ret_journal, struct buf *error)
{
	struct journal *journal;
	int rc = journal_prepare(journal_world_path, &journal, error);

	if (rc < 0)
		return rc;
	rc = journal_begin(journal, campaign, now_epoch_ms, error);
	if (rc < 0)
		journal_close(journal);
	else
		*ret_journal = journal;
	return rc;
}

struct journal *journal_world_begin(void)
{
	struct journal_campaign campaign = journal_world_campaign();
	struct buf error = BUF_INIT(1000);
	struct journal *journal = NULL;

	if (journal_world_begin_as(&campaign, JOURNAL_WORLD_BEGUN, &journal, &error) < 0)
		fail_msg("%s", buf_string(&error));
	assert_int_equal(error.len, 0);
	return journal;
}

struct journal *journal_world_open(bool to_send)
{
	struct buf error = BUF_INIT(1000);
	struct journal *journal = NULL;

	if (journal_open(journal_world_path, to_send, &journal, &error) < 0)
		fail_msg("%s", buf_string(&error));
	assert_int_equal(error.len, 0);
	return journal;
}
