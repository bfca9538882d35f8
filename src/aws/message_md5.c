#include "aws/message_md5.h"

#include "aws/sqs_limits.h"
#include "base/hex.h"
#include "bunshin/error.h"

#include <stdint.h>
#include <string.h>

int message_md5_body(
	struct digest *md5, const char *body, size_t len, char ret_md5[MESSAGE_MD5_SIZE])
{
	unsigned char hash[DIGEST_MD5_BYTES];
	int err = digest_once(md5, body, len, hash);

	if (err == 0)
		hex_print(hash, sizeof(hash), ret_md5);
	return err;
}

/* What goes into the digest, in pieces that are larger than those it is put together from. */
struct intake {
	struct digest *md5;
	size_t len;
	unsigned char bytes[512];
};

static int flush(struct intake *intake)
{
	size_t len = intake->len;

	intake->len = 0;
	return len > 0 ? digest_update(intake->md5, intake->bytes, len) : 0;
}

static int put(struct intake *intake, const void *bytes, size_t len)
{
	if (len > sizeof(intake->bytes) - intake->len && flush(intake) != 0)
		return ERR_NOMEM;
	if (len > sizeof(intake->bytes))
		return digest_update(intake->md5, bytes, len);
	if (len > 0)
		memcpy(intake->bytes + intake->len, bytes, len);
	intake->len += len;
	return 0;
}

/* Length as four bytes, big end first, then the bytes. */
static int put_counted(struct intake *intake, const char *bytes, size_t len)
{
	const unsigned char length[4] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16),
		(unsigned char)(len >> 8), (unsigned char)len};
	int err = put(intake, length, sizeof(length));

	return err != 0 ? err : put(intake, bytes, len);
}

static int put_attribute(struct intake *intake, const struct queue_attribute *attribute)
{
	const unsigned char transport = sqs_type_is_binary(attribute->type) ? 2 : 1;
	int err = put_counted(intake, attribute->name, strlen(attribute->name));

	if (err == 0)
		err = put_counted(intake, attribute->type, strlen(attribute->type));
	if (err == 0)
		err = put(intake, &transport, 1);
	if (err == 0)
		err = put_counted(intake, attribute->value, attribute->value_bytes);
	return err;
}

int message_md5_attributes(struct digest *md5, const struct queue_attribute *attributes,
	size_t count, char ret_md5[MESSAGE_MD5_SIZE])
{
	const struct queue_attribute *sorted[QUEUE_ATTRIBUTES_MAX];
	unsigned char hash[DIGEST_MD5_BYTES];
	struct intake intake;
	int err;

	intake.md5 = md5;
	intake.len = 0;
	if (count > QUEUE_ATTRIBUTES_MAX)
		return ERR_ARGUMENT;
	for (size_t i = 0; i < count; i++) {
		size_t place = i;

		for (; place > 0 && strcmp(sorted[place - 1]->name, attributes[i].name) > 0;
			place--)
			sorted[place] = sorted[place - 1];
		sorted[place] = &attributes[i];
	}
	err = digest_begin(md5);
	for (size_t i = 0; err == 0 && i < count; i++)
		err = put_attribute(&intake, sorted[i]);
	if (err == 0)
		err = flush(&intake);
	if (err == 0)
		err = digest_end(md5, hash);
	if (err == 0)
		hex_print(hash, sizeof(hash), ret_md5);
	return err;
}
