#include "signing/apns.h"

#include "base/sha256.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <string.h>

#define TEXT_MAX 1024
#define APNS_CLAIM_MS 2000

static int append_header(struct buf *out, const char *key_id)
{
	return buf_appendf(out, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", key_id);
}

static int append_claims(struct buf *out, const char *team_id, int64_t made_epoch_ms)
{
	return buf_appendf(
		out, "{\"iss\":\"%s\",\"iat\":%" PRId64 "}", team_id, made_epoch_ms / 1000);
}

int apns_token_make(const struct jwt_key *key, const char *key_id, const char *team_id,
	int64_t now_epoch_ms, struct token *ret)
{
	struct buf header = BUF_INIT(TEXT_MAX), claims = BUF_INIT(TEXT_MAX);
	struct buf out = BUF_INIT(TOKEN_TEXT_MAX);
	int err = append_header(&header, key_id);

	if (err == 0)
		err = append_claims(&claims, team_id, now_epoch_ms);
	if (err == 0 && buf_reserve(&out, TEXT_MAX) == NULL) /* so that it never moves */
		err = out.err;
	if (err == 0)
		err = jwt_sign(key, buf_string(&header), buf_string(&claims), &out);
	if (err == 0) {
		*ret = (struct token){.made_epoch_ms = now_epoch_ms,
			.ends_epoch_ms = now_epoch_ms + APNS_TOKEN_LIFE_MS - APNS_TOKEN_SLACK_MS};
		memcpy(ret->text, out.data, out.len + 1);
	}
	buf_free(&header);
	buf_free(&claims);
	buf_wipe(&out);
	return err;
}

void apns_identity(const struct jwt_key *key, const char *key_id, const char *team_id,
	uint8_t ret[TOKEN_IDENTITY_BYTES])
{
	char text[TEXT_MAX] = "apns";
	size_t len = sizeof("apns");
	const char *const parts[] = {key_id, team_id};

	jwt_key_fingerprint(key, (uint8_t *)text + len);
	len += JWT_FINGERPRINT_BYTES;
	for (size_t i = 0; i < 2; i++) {
		size_t bytes = strnlen(parts[i], 256);

		memcpy(text + len, parts[i], bytes);
		len += bytes + 1;
	}
	sha256(text, len, ret);
}

int apns_tokens_init(struct apns_tokens *tokens, const struct jwt_key *key, const char *key_id,
	const char *team_id, int64_t renew_ms, void *memory, size_t bytes, int64_t now_epoch_ms)
{
	*tokens = (struct apns_tokens){
		.key = key, .key_id = key_id, .team_id = team_id, .renew_ms = renew_ms};
	apns_identity(key, key_id, team_id, tokens->identity);
	tokens->slot = token_slot_of(memory, bytes, tokens->identity, now_epoch_ms);
	return tokens->slot != NULL ? 0 : ERR_LIMIT;
}

void apns_tokens_wipe(struct apns_tokens *tokens)
{
	explicit_bzero(tokens, sizeof(*tokens));
}

static bool is_fresh(const struct apns_tokens *tokens, int64_t now_epoch_ms)
{
	return now_epoch_ms < tokens->token.made_epoch_ms + tokens->renew_ms &&
	       now_epoch_ms < tokens->token.ends_epoch_ms &&
	       now_epoch_ms >= tokens->token.made_epoch_ms - APNS_TOKEN_SLACK_MS;
}

/* True: there is one that can be sent. */
static bool look(struct apns_tokens *tokens, int64_t now_epoch_ms)
{
	uint64_t version = token_version(tokens->slot);

	if (token_read(tokens->slot, tokens->identity, now_epoch_ms, &tokens->token)) {
		tokens->version = version;
		return true;
	}
	tokens->version = 0;
	return false;
}

/* With the claim, and nobody has been quicker. */
static int make(struct apns_tokens *tokens, uint64_t claim, int64_t now_epoch_ms)
{
	struct token next;
	int err =
		apns_token_make(tokens->key, tokens->key_id, tokens->team_id, now_epoch_ms, &next);

	if (err != 0)
		token_unclaim(tokens->slot, claim);
	else
		token_publish(tokens->slot, tokens->identity, claim, &next);
	explicit_bzero(&next, sizeof(next));
	return err;
}

int apns_tokens_get(
	struct apns_tokens *tokens, int64_t now_epoch_ms, uint64_t random, const struct token **ret)
{
	bool good = true;
	uint64_t claim;
	int err = 0;

	if (tokens->version == 0 || tokens->version != token_version(tokens->slot) ||
		!is_fresh(tokens, now_epoch_ms))
		good = look(tokens, now_epoch_ms);
	if (!good || !is_fresh(tokens, now_epoch_ms)) {
		claim = token_claim(
			tokens->slot, now_epoch_ms, now_epoch_ms + APNS_CLAIM_MS, random);
		if (claim != 0 && look(tokens, now_epoch_ms) && is_fresh(tokens, now_epoch_ms))
			token_unclaim(tokens->slot, claim);
		else if (claim != 0)
			err = make(tokens, claim, now_epoch_ms);
		/* Only what all can read is ever sent. */
		good = look(tokens, now_epoch_ms);
	}
	if (!good)
		return err != 0 ? err : ERR_PENDING;
	*ret = &tokens->token;
	return 0;
}

int apns_token_describe(
	const char *key_id, const char *team_id, int64_t made_epoch_ms, struct buf *out)
{
	append_header(out, key_id);
	buf_append_char(out, '.');
	append_claims(out, team_id, made_epoch_ms);
	return buf_append_string(out, ".[hidden]");
}
