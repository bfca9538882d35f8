#include "aws/message_md5.h"

#include "aws/sqs_limits.h"
#include "bunshin/error.h"

#include <stdint.h>
#include <string.h>

int message_md5_body(
	struct digest *md5, const char *body, size_t len, char ret_md5[MESSAGE_MD5_SIZE])
{
	unsigned char hash[DIGEST_MD5_BYTES];
	int err = digest_once(md5, body, len, hash);

	if (err == 0)
		digest_hex(hash, sizeof(hash), ret_md5);
	return err;
}

/* Length as four bytes, big end first, then the bytes. */
static int update_counted(struct digest *md5, const char *bytes, size_t len)
{
	const unsigned char length[4] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16),
		(unsigned char)(len >> 8), (unsigned char)len};
	int err = digest_update(md5, length, sizeof(length));

	return err != 0 ? err : digest_update(md5, bytes, len);
}

static int update_attribute(struct digest *md5, const struct queue_attribute *attribute)
{
	const unsigned char transport = sqs_type_is_binary(attribute->type) ? 2 : 1;
	int err = update_counted(md5, attribute->name, strlen(attribute->name));

	if (err == 0)
		err = update_counted(md5, attribute->type, strlen(attribute->type));
	if (err == 0)
		err = digest_update(md5, &transport, 1);
	if (err == 0)
		err = update_counted(md5, attribute->value, attribute->value_bytes);
	return err;
}

int message_md5_attributes(struct digest *md5, const struct queue_attribute *attributes,
	size_t count, char ret_md5[MESSAGE_MD5_SIZE])
{
	const struct queue_attribute *sorted[QUEUE_ATTRIBUTES_MAX];
	unsigned char hash[DIGEST_MD5_BYTES];
	int err;

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
		err = update_attribute(md5, sorted[i]);
	if (err == 0)
		err = digest_end(md5, hash);
	if (err == 0)
		digest_hex(hash, sizeof(hash), ret_md5);
	return err;
}
