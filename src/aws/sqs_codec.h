/*
 * The AWS JSON 1.0 bodies of SQS's operations: pure, text in and structs out, no I/O.
 *
 * Decoding trusts nothing: unknown members are ignored, null is absent, and what is wrong in type,
 * size or digest is refused, a message or an entry at a time where it can be.
 */
#ifndef AWS_SQS_CODEC_H
#define AWS_SQS_CODEC_H

#include "aws/digest.h"
#include "aws/envelope.h"
#include "aws/message_md5.h"
#include "aws/sqs_batch.h"
#include "aws/sqs_client.h"
#include "aws/sqs_error.h"
#include "aws/sqs_redrive.h"
#include "aws/sqs_tags.h"
#include "base/buf.h"
#include "base/json.h"
#include "bunshin/queue.h"

#define SQS_DETAIL_SIZE 512 /* text for people, with its NUL */

/*
 * Requests (sqs_encode.c). Each appends one JSON object to `body` and returns 0, the buffer's
 * error, or before anything is appended ERR_ARGUMENT: a count, number, name or text that SQS does
 * not take.
 */
/* attempt_id: ReceiveRequestAttemptId, 1-128 letters, digits or punctuation; "": none. */
int sqs_encode_receive(struct buf *body, const char *queue_url, const struct queue_receive *params,
	const char *attempt_id);
int sqs_encode_delete_batch(
	struct buf *body, const char *queue_url, const char *const receipt_handles[], size_t count);
int sqs_encode_visibility_batch(struct buf *body, const char *queue_url,
	const struct queue_visibility entries[], size_t count);
int sqs_encode_get_attributes(struct buf *body, const char *queue_url);
/* For both GetQueueUrl and CreateQueue. */
int sqs_encode_queue_name(struct buf *body, const char *queue_name);
/* sqs_tags_codec.c */
int sqs_encode_list_tags(struct buf *body, const char *queue_url);
int sqs_encode_tag(
	struct buf *body, const char *queue_url, const struct sqs_tag tags[], size_t count);
int sqs_encode_untag(
	struct buf *body, const char *queue_url, const char *const keys[], size_t count);

/* Of sqs_redrive.h. */
int sqs_encode_describe(struct buf *body, const char *queue_url);
int sqs_encode_list_sources(struct buf *body, const char *queue_url);
int sqs_encode_start_move(struct buf *body, const char *source_arn, const char *destination_arn,
	unsigned messages_per_s);
int sqs_encode_list_moves(struct buf *body, const char *source_arn);
int sqs_encode_cancel_move(struct buf *body, const char *task_handle);
int sqs_encode_purge(struct buf *body, const char *queue_url);

/* What SQS has to answer that it stored; "" for no attributes. */
struct sqs_sent_digests {
	char body[QUEUE_BATCH_MAX][MESSAGE_MD5_SIZE];
	char attributes[QUEUE_BATCH_MAX][MESSAGE_MD5_SIZE];
};

/* Also ERR_TOO_LARGE past SQS_BATCH_MAX_BYTES, and ERR_NOMEM. md5: an "MD5" digest. */
int sqs_encode_send_batch(struct buf *body, const char *queue_url,
	const struct queue_send entries[], size_t count, struct digest *md5,
	struct sqs_sent_digests *ret_digests);

/* A decoder's reusable memory. Zero it, then sqs_decoder_init(). */
struct sqs_decoder {
	struct json json;
	struct json envelope, inner; /* of a body, and of what was in it, beside the answer's own */
	struct digest md5, sha1;
	struct sqs_batch_pool *pool;
};

/* 0, or ERR_NOMEM (then nothing is held). */
int sqs_decoder_init(struct sqs_decoder *decoder);
/* Batches that are out stay alive. Harmless on a zeroed one. */
void sqs_decoder_free(struct sqs_decoder *decoder);

/* Messages that came and were not handed on: they return after their visibility timeout. */
struct sqs_dropped {
	unsigned corrupted;	      /* an MD5 differs */
	unsigned malformed;	      /* a member missing, of the wrong type, or out of bounds */
	char detail[SQS_DETAIL_SIZE]; /* of the first: which and why; "" when there is none */
};

/*
 * The answers of the operations (sqs_decode.c). `text` is borrowed for the call. Each returns 0,
 * ERR_PROTOCOL (not JSON, not of the expected shape) or ERR_NOMEM; outputs are set only on 0.
 * `detail` is "" unless something is worth telling.
 */

/*
 * sqs_decode_receive.c. No Messages is a batch of count 0; more than QUEUE_BATCH_MAX is
 * ERR_PROTOCOL. A message without MessageId, ReceiptHandle or Body is dropped; one whose digest is
 * absent is taken as it is. Envelopes are taken off once the digests have been checked. The batch
 * owns all it points to.
 */
int sqs_decode_receive(struct sqs_decoder *decoder, const char *queue_url, enum sqs_unwrap unwrap,
	const char *text, size_t len, struct queue_batch **ret_batch,
	struct sqs_dropped *ret_dropped);

/*
 * sqs_unwrap.c. Replaces body and attributes of a message by what its envelope holds, written over
 * the body; or sets `refused`, which goes into `refusal` where it is made up, and leaves the rest
 * as it is. `attributes` is the message's own, with room for QUEUE_ATTRIBUTES_MAX; the message's
 * own win over the envelope's. 0 or ERR_NOMEM.
 */
int sqs_open_envelope(struct sqs_decoder *decoder, enum sqs_unwrap unwrap,
	struct queue_message *message, char *body, struct queue_attribute *attributes,
	char refusal[SQS_REFUSAL_SIZE]);

/*
 * The three batch operations. results[i] is what was answered for entry i: 0, the code of its
 * failure, or ERR_PROTOCOL when nothing was; a failure outweighs a success of the same id. With
 * `sent` (SendMessageBatch) a success whose digests are not those sent is ERR_PROTOCOL. `detail`
 * describes the first entry that failed.
 */
int sqs_decode_batch(struct sqs_decoder *decoder, enum sqs_operation operation, const char *text,
	size_t len, const struct sqs_sent_digests *sent, size_t count, int results[],
	char detail[SQS_DETAIL_SIZE]);

/* All four are required. */
int sqs_decode_attributes(struct sqs_decoder *decoder, const char *text, size_t len,
	struct queue_attributes *ret_attributes);
/* ret_url is borrowed until the next decoding. */
int sqs_decode_queue_url(
	struct sqs_decoder *decoder, const char *text, size_t len, const char **ret_url);
/*
 * sqs_tags_codec.c. No Tags is none; more than SQS_TAGS_MAX, or a text longer than a tag's can be,
 * is ERR_PROTOCOL. Keys are distinct but in hostile answers. Texts are borrowed until the next
 * decoding.
 */
int sqs_decode_list_tags(
	struct sqs_decoder *decoder, const char *text, size_t len, struct sqs_tags *ret_tags);

/*
 * sqs_decode_redrive.c: the answers of sqs_redrive.h. Each fills its own member of the answer in;
 * the texts in it are borrowed until the next decoding.
 */
int sqs_decode_describe(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer);
/* More than SQS_SOURCES_MAX are cut, `more` being set. */
int sqs_decode_list_sources(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer);
int sqs_decode_start_move(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer);
/* More than SQS_MOVES_MAX is ERR_PROTOCOL, and so is a status that SQS does not have. */
int sqs_decode_list_moves(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer);
int sqs_decode_cancel_move(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer);

/*
 * A failed call: status and body of the answer, its x-amzn-query-error header (NULL: none), and
 * how far the server's clock is ahead. Returns its error code, never 0; ERR_NOMEM when it could not
 * be read. `detail` is the service's message, "" when it gave none.
 */
int sqs_decode_error(struct sqs_decoder *decoder, enum sqs_operation operation, int status,
	const char *query_error, int64_t skew_ms, const char *text, size_t len,
	char ret_code[SQS_CODE_SIZE], char detail[SQS_DETAIL_SIZE]);

/* For the decoders' own use: parses; the root is an object when it returns 0. */
int sqs_decoder_parse(struct sqs_decoder *decoder, const char *text, size_t len);
/* Gives the memory of a parser back that an odd document has grown. */
void sqs_json_trim(struct json *json);
/* The member, or NULL when it is absent or null. */
const struct json_value *sqs_member(const struct json_value *object, const char *name);
/* The same for each of these names, in one pass: ret[i] for names[i]. */
void sqs_members(const struct json_value *object, const struct json_name names[], size_t count,
	const struct json_value *ret[]);
/* Formats; cuts what does not fit, at a character, and blanks control characters out. */
void sqs_detail_set(char detail[SQS_DETAIL_SIZE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
