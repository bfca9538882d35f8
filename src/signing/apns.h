/*
 * Provider tokens of the Apple Push Notification service ("Establishing a token-based connection to
 * APNs"): a JWT by ES256 with alg and kid in its header, iss and iat as claims. A token is refused
 * an hour after its iat; one that is renewed within 20 minutes of the last is
 * TooManyProviderTokenUpdates.
 */
#ifndef SIGNING_APNS_H
#define SIGNING_APNS_H

#include "signing/jwt.h"
#include "signing/token_table.h"

#define APNS_TOKEN_LIFE_MS (60 * INT64_C(60000))
#define APNS_RENEW_MIN_MS (20 * INT64_C(60000))
/* It ends for us before it does for APNs, whose clock is not ours. */
#define APNS_TOKEN_SLACK_MS INT64_C(60000)

/* ids: plain letters and digits, since they go into JSON as they are. 0 or jwt_sign()'s error. */
int apns_token_make(const struct jwt_key *key, const char *key_id, const char *team_id,
	int64_t now_epoch_ms, struct token *ret);
/* Which token it is: of key, key id and team. */
void apns_identity(const struct jwt_key *key, const char *key_id, const char *team_id,
	uint8_t ret[TOKEN_IDENTITY_BYTES]);
/*
 * One process's view of the token that all share. ECDSA signatures are random, so workers that only
 * kept the same schedule would have a token each: one makes it, the others read it.
 */
struct apns_tokens {
	const struct jwt_key *key;
	const char *key_id, *team_id;
	int64_t renew_ms; /* at least APNS_RENEW_MIN_MS */
	struct token_slot *slot;
	uint8_t identity[TOKEN_IDENTITY_BYTES];
	uint64_t version; /* of `token` in the slot; 0: none was read */
	struct token token;
};

/*
 * Texts, key and memory (of token_file) are borrowed. 0, or ERR_LIMIT: no slot is free. Wipe it
 * with apns_tokens_wipe().
 */
int apns_tokens_init(struct apns_tokens *tokens, const struct jwt_key *key, const char *key_id,
	const char *team_id, int64_t renew_ms, void *memory, size_t bytes, int64_t now_epoch_ms);
void apns_tokens_wipe(struct apns_tokens *tokens);
/*
 * The token to send now, borrowed until the next call; made here when it is due and nobody else is
 * at it. 0; ERR_PENDING: there is none, and another is making one, which takes it a millisecond,
 * or, if it died, two seconds; ERR_NOMEM. In steady state one atomic load and no system call.
 */
int apns_tokens_get(struct apns_tokens *tokens, int64_t now_epoch_ms, uint64_t random,
	const struct token **ret);

/* What was signed, for people: {"alg":...}.{"iss":...,"iat":...}.[hidden] */
int apns_token_describe(
	const char *key_id, const char *team_id, int64_t made_epoch_ms, struct buf *out);

#endif
