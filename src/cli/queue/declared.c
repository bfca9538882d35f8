#include "cli/queue/declared.h"

#include "base/buf.h"
#include "bunshin/error.h"
#include "config/queues_file.h"
#include "config/quote.h"
#include "localq/operations_tags.h"
#include "localq/queue_attributes.h"
#include "localq/redrive.h"
#include "localq/text.h"

#include <stdlib.h>
#include <string.h>

#define MAX_RECEIVES_MAX 1000

struct declared {
	struct queues_file *file;
	struct declarations declarations; /* as many as the file's entries, in their order */
	struct declared_pair *pairs;	  /* of all of them, one after the other */
	struct redrive *redrives;	  /* one of each */
};

/* One entry being checked. */
struct check {
	struct queues_file *file;
	struct buf *errors;
	size_t index;
	const struct queues_entry *entry;
	struct declaration *declaration;
	struct redrive *redrive;
	struct declared_pair *next; /* where the next pair goes */
};

/* "text", for the end of a message; the buffer is for one message. */
static const char *quoted(struct buf *buf, const char *text)
{
	buf_clear(buf);
	quote_append(buf, text, strlen(text));
	return buf_string(buf);
}

static void wrong_value(struct check *check, const char *member, const struct queues_pair *pair,
	const char *expected)
{
	struct buf value = BUF_INIT(1024);

	queues_file_report(check->file, check->errors, pair->place, check->index, member,
		pair->name, "expected %s, got %s", expected, quoted(&value, pair->value));
	buf_free(&value);
}

static void unknown_attribute(struct check *check, const struct queues_pair *pair)
{
	struct buf names = BUF_INIT(2048);

	for (unsigned i = 0; i < QUEUE_ATTRIBUTE_COUNT; i++)
		buf_appendf(&names, "%s%s", i > 0 ? ", " : "", queue_attribute_name(i));
	queues_file_report(check->file, check->errors, pair->place, check->index, "attributes",
		pair->name, "unknown attribute; expected one of %s", buf_string(&names));
	buf_free(&names);
}

static bool is_fifo(const char *name)
{
	return text_ends_in_fifo(name, strlen(name));
}

/* The name decides what kind of queue it is; the attribute may only say the same. */
static void check_fifo_queue(struct check *check, const struct queues_pair *pair)
{
	bool fifo = check->entry->name != NULL && is_fifo(check->entry->name);

	if (fifo && strcmp(pair->value, "true") != 0)
		wrong_value(check, "attributes", pair, "true, as the name ends in .fifo");
	else if (!fifo)
		queues_file_report(check->file, check->errors, pair->place, check->index,
			"attributes", pair->name, "the name of a FIFO queue must end in .fifo");
}

static bool is_of_fifo(const char *name)
{
	return strcmp(name, "ContentBasedDeduplication") == 0 ||
	       strcmp(name, "DeduplicationScope") == 0 || strcmp(name, "FifoThroughputLimit") == 0;
}

static void set_redrive(struct check *check)
{
	check->declaration->redrive_queue = check->redrive->dead_letter_queue;
	check->declaration->max_receives = check->redrive->max_receives;
}

static int check_redrive_policy(struct check *check, const struct queues_pair *pair)
{
	int err = redrive_parse(pair->value, check->redrive);

	if (err == ERR_NOMEM)
		return err;
	if (check->entry->redrive_queue != NULL)
		queues_file_report(check->file, check->errors, pair->place, check->index,
			"attributes", pair->name, "redrive says it already; give one of them");
	else if (err < 0)
		wrong_value(check, "attributes", pair,
			"deadLetterTargetArn, the ARN of a queue, and maxReceiveCount, 1 to 1000 "
			"(or use redrive)");
	else
		set_redrive(check);
	return 0;
}

static int check_attribute(struct check *check, const struct queues_pair *pair)
{
	struct problem problem = {.fault = FAULT_NONE};
	enum queue_attribute attribute = queue_attribute_find(pair->name);
	char expected[QUEUE_ATTRIBUTE_EXPECTED_MAX];
	enum fault fault;

	if (strcmp(pair->name, "FifoQueue") == 0) {
		check_fifo_queue(check, pair);
		return 0;
	}
	if (strcmp(pair->name, "RedrivePolicy") == 0)
		return check_redrive_policy(check, pair);
	if (is_of_fifo(pair->name) && check->entry->name != NULL && !is_fifo(check->entry->name)) {
		queues_file_report(check->file, check->errors, pair->place, check->index,
			"attributes", pair->name, "is for FIFO queues, whose names end in .fifo");
		return 0;
	}
	fault = declare_check_attribute(pair->name, pair->value, &problem);
	if (fault == FAULT_INTERNAL)
		return ERR_NOMEM;
	if (fault == FAULT_INVALID_ATTRIBUTE_NAME)
		unknown_attribute(check, pair);
	else if (fault == FAULT_INVALID_ATTRIBUTE_VALUE && attribute < QUEUE_ATTRIBUTE_COUNT)
		wrong_value(
			check, "attributes", pair, queue_attribute_expected(attribute, expected));
	else if (fault != FAULT_NONE)
		queues_file_report(check->file, check->errors, pair->place, check->index,
			"attributes", pair->name, "%s", problem.message);
	else
		*check->next++ = (struct declared_pair){pair->name, pair->value};
	return 0;
}

static int check_attributes(struct check *check)
{
	const struct queues_pairs *pairs = &check->entry->attributes;

	check->declaration->attributes = check->next;
	for (size_t i = 0; i < pairs->count; i++) {
		int err = check_attribute(check, &pairs->list[i]);

		if (err < 0)
			return err;
	}
	check->declaration->attribute_count =
		(size_t)(check->next - check->declaration->attributes);
	return 0;
}

static int check_tags(struct check *check)
{
	const struct queues_pairs *pairs = &check->entry->tags;

	check->declaration->tags = check->next;
	if (pairs->count > TAGS_MAX)
		queues_file_report(check->file, check->errors, check->entry->tags_place,
			check->index, "tags", NULL, "expected at most %d, got %zu", TAGS_MAX,
			pairs->count);
	for (size_t i = 0; i < pairs->count; i++) {
		const struct queues_pair *pair = &pairs->list[i];
		struct problem problem = {.fault = FAULT_NONE};
		enum fault fault = declare_check_tag(pair->name, pair->value, &problem);

		if (fault == FAULT_INTERNAL)
			return ERR_NOMEM;
		if (fault != FAULT_NONE)
			queues_file_report(check->file, check->errors, pair->place, check->index,
				"tags", pair->name, "%s", problem.message);
		*check->next++ = (struct declared_pair){pair->name, pair->value};
	}
	check->declaration->tag_count = pairs->count;
	return 0;
}

static void check_max_receives(struct check *check)
{
	const struct queues_entry *entry = check->entry;
	struct buf value = BUF_INIT(1024);
	int64_t number;

	if (text_to_int(entry->max_receives, &number) && number >= 1 && number <= MAX_RECEIVES_MAX)
		check->redrive->max_receives = (unsigned)number;
	else
		queues_file_report(check->file, check->errors, entry->max_receives_place,
			check->index, "redrive", "max_receives",
			"expected a whole number from 1 to %d, got %s", MAX_RECEIVES_MAX,
			quoted(&value, entry->max_receives));
	buf_free(&value);
}

/* The shorthand; whether the queue is there shows when queues are made. */
static void check_redrive(struct check *check)
{
	const struct queues_entry *entry = check->entry;
	struct problem problem = {.fault = FAULT_NONE};
	const char *wrong = NULL;

	if (entry->redrive_queue == NULL || entry->max_receives == NULL)
		return;
	check_max_receives(check);
	if (declare_check_name(entry->redrive_queue, &problem) != FAULT_NONE)
		wrong = problem.message;
	else if (entry->name == NULL)
		return;
	else if (strcmp(entry->name, entry->redrive_queue) == 0)
		wrong = "expected another queue than this one";
	else if (is_fifo(entry->name) && !is_fifo(entry->redrive_queue))
		wrong = "expected a FIFO queue, as this one is";
	else if (!is_fifo(entry->name) && is_fifo(entry->redrive_queue))
		wrong = "expected a standard queue, as this one is";
	if (wrong != NULL) {
		queues_file_report(check->file, check->errors, entry->redrive_queue_place,
			check->index, "redrive", "queue", "%s", wrong);
		return;
	}
	strcpy(check->redrive->dead_letter_queue, entry->redrive_queue);
	set_redrive(check);
}

static int check_entry(struct check *check)
{
	struct problem problem = {.fault = FAULT_NONE};
	struct buf value = BUF_INIT(1024);
	int err;

	check->declaration->name = check->entry->name;
	if (check->entry->name != NULL &&
		declare_check_name(check->entry->name, &problem) != FAULT_NONE)
		queues_file_report(check->file, check->errors, check->entry->name_place,
			check->index, "name", NULL, "%s, got %s", problem.message,
			quoted(&value, check->entry->name));
	buf_free(&value);
	err = check_attributes(check);
	if (err == 0)
		err = check_tags(check);
	check_redrive(check);
	return err;
}

static int check_all(struct declared *declared, struct buf *errors)
{
	struct queues_file *file = declared->file;
	struct declared_pair *next = declared->pairs;

	for (size_t i = 0; i < file->count; i++) {
		struct check check = {
			.file = file,
			.errors = errors,
			.index = i,
			.entry = &file->entries[i],
			.declaration = &declared->declarations.list[i],
			.redrive = &declared->redrives[i],
			.next = next,
		};
		int err = check_entry(&check);

		if (err < 0)
			return err;
		next = check.next;
	}
	return file->error_count > 0 ? ERR_CONFIG : 0;
}

static int allocate(struct declared *declared)
{
	const struct queues_file *file = declared->file;
	size_t pairs = 0;

	for (size_t i = 0; i < file->count; i++)
		pairs += file->entries[i].attributes.count + file->entries[i].tags.count;
	declared->pairs = calloc(pairs + 1, sizeof(*declared->pairs));
	declared->redrives = calloc(file->count + 1, sizeof(*declared->redrives));
	declared->declarations.list = calloc(file->count + 1, sizeof(*declared->declarations.list));
	declared->declarations.count = file->count;
	return declared->pairs != NULL && declared->redrives != NULL &&
			       declared->declarations.list != NULL
		       ? 0
		       : ERR_NOMEM;
}

int declared_load(const char *path, struct declared **ret, struct buf *errors)
{
	struct declared *declared = calloc(1, sizeof(*declared));
	int err;

	if (declared == NULL)
		return ERR_NOMEM;
	err = queues_file_load(path, &declared->file, errors);
	if (err == 0)
		err = allocate(declared);
	if (err == 0)
		err = check_all(declared, errors);
	if (err < 0) {
		declared_free(declared);
		return errors->err == ERR_NOMEM ? ERR_NOMEM : err;
	}
	*ret = declared;
	return 0;
}

void declared_free(struct declared *declared)
{
	if (declared == NULL)
		return;
	queues_file_free(declared->file);
	free(declared->pairs);
	free(declared->redrives);
	free(declared->declarations.list);
	free(declared);
}

struct declarations *declared_list(struct declared *declared)
{
	return declared != NULL ? &declared->declarations : NULL;
}

/* Where the dead-letter queue is named. */
static struct queues_place redrive_place(const struct queues_entry *entry)
{
	if (entry->redrive_queue != NULL)
		return entry->redrive_queue_place;
	for (size_t i = 0; i < entry->attributes.count; i++)
		if (strcmp(entry->attributes.list[i].name, "RedrivePolicy") == 0)
			return entry->attributes.list[i].place;
	return entry->name_place;
}

void declared_explain(struct declared *declared, struct buf *errors)
{
	const struct declarations *declarations = &declared->declarations;
	const struct queues_entry *entry = &declared->file->entries[declarations->refused];

	if (!declarations->refused_redrive)
		queues_file_report(declared->file, errors, entry->name_place, declarations->refused,
			NULL, NULL, "%s", declarations->problem.message);
	else
		queues_file_report(declared->file, errors, redrive_place(entry),
			declarations->refused,
			entry->redrive_queue != NULL ? "redrive" : "attributes",
			entry->redrive_queue != NULL ? "queue" : "RedrivePolicy", "%s",
			declarations->problem.message);
}
