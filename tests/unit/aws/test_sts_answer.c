/* STS's codec: forms, and answers in the shapes of its API reference, broken in every way. */
#include "aws/sts_codec.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* STS API reference, AssumeRole, "Examples". */
static const char assume_role[] =
	"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
	"  <AssumeRoleResult>\n"
	"  <SourceIdentity>Alice</SourceIdentity>\n"
	"    <AssumedRoleUser>\n"
	"      <Arn>arn:aws:sts::123456789012:assumed-role/demo/TestAR</Arn>\n"
	"      <AssumedRoleId>ARO123EXAMPLE123:TestAR</AssumedRoleId>\n"
	"    </AssumedRoleUser>\n"
	"    <Credentials>\n"
	"      <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>\n"
	"      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey>\n"
	"      <SessionToken>\n"
	"       AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW\n"
	"      </SessionToken>\n"
	"      <Expiration>2019-11-09T13:34:41Z</Expiration>\n"
	"    </Credentials>\n"
	"    <PackedPolicySize>6</PackedPolicySize>\n"
	"  </AssumeRoleResult>\n"
	"  <ResponseMetadata>\n"
	"    <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>\n"
	"  </ResponseMetadata>\n"
	"</AssumeRoleResponse>\n";

/* As it comes on the wire: the token is one word. */
#define KEYS_OF(name, inside)                                                                     \
	"<" name "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" name            \
	"Result>" inside "</" name "Result><ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-" \
	"6b6efEXAMPLE</RequestId></ResponseMetadata></" name "Response>"
#define USER                                                                        \
	"<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/F/app1</Arn>" \
	"<AssumedRoleId>AROACLKWSDQRAOEXAMPLE:app1</AssumedRoleId></AssumedRoleUser>"
#define ID "<AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>"
#define SECRET "<SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>"
#define TOKEN "<SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE</SessionToken>"
#define EXPIRATION "<Expiration>2014-10-24T23:00:23.417Z</Expiration>"
#define WEB "AssumeRoleWithWebIdentity"

static const char web_identity[] = KEYS_OF(WEB,
	"<SubjectFromWebIdentityToken>amzn1.account.X</SubjectFromWebIdentityToken>"
	"<Audience>client.5498841531868486423.1548@apps.example.com</Audience>" USER
	"<Credentials>" TOKEN SECRET EXPIRATION ID
	"</Credentials><SourceIdentity>S</SourceIdentity><Provider>www.amazon.com</Provider>");

static const char identity_answer[] =
	"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
	"  <GetCallerIdentityResult>\n"
	"  <Arn>arn:aws:iam::123456789012:user/Alice</Arn>\n"
	"  <UserId>EXAMPLE</UserId>\n"
	"  <Account>123456789012</Account>\n"
	"  </GetCallerIdentityResult>\n"
	"  <ResponseMetadata><RequestId>01234567-89ab</RequestId></ResponseMetadata>\n"
	"</GetCallerIdentityResponse>\n";

/* Outputs must stay as they are on a failure. */
static int read_keys(enum sts_operation operation, const char *text, size_t len,
	struct credentials_set *set, char problem[XML_PROBLEM_SIZE])
{
	char *exact = malloc(len > 0 ? len : 1);
	struct credentials_set *before = malloc(sizeof(*before));
	int err;

	assert_non_null(exact);
	assert_non_null(before);
	memcpy(exact, text, len);
	memset(set, 0x5a, sizeof(*set));
	*before = *set;
	err = sts_answer_credentials(operation, exact, len, set, problem);
	if (err != 0)
		assert_memory_equal(set, before, sizeof(*set));
	assert_int_equal(err == 0, problem[0] == '\0');
	free(exact);
	free(before);
	return err;
}

static void assert_refused(const char *text, const char *problem)
{
	struct credentials_set set;
	char said[XML_PROBLEM_SIZE];

	assert_int_equal(read_keys(STS_ASSUME_WITH_WEB_IDENTITY, text, strlen(text), &set, said),
		ERR_PROTOCOL);
	assert_string_equal(said, problem);
}

/* The rest of the words are expat's. */
static void assert_not_xml(const char *text)
{
	static const char begin[] = "not XML: ";
	struct credentials_set set;
	char said[XML_PROBLEM_SIZE];

	assert_int_equal(read_keys(STS_ASSUME_WITH_WEB_IDENTITY, text, strlen(text), &set, said),
		ERR_PROTOCOL);
	assert_memory_equal(said, begin, sizeof(begin) - 1);
	assert_non_null(strstr(said, ", line 1"));
}

static void keys_are_read(void **state)
{
	struct credentials_set set;
	char problem[XML_PROBLEM_SIZE];

	assert_int_equal(read_keys(STS_ASSUME_WITH_WEB_IDENTITY, web_identity, strlen(web_identity),
				 &set, problem),
		0);
	assert_string_equal(set.access_key_id, "ASgeIAIOSFODNN7EXAMPLE");
	assert_string_equal(set.secret_access_key, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY");
	assert_string_equal(set.session_token, "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE");
	assert_int_equal(set.expires_epoch_ms, INT64_C(1414191623417));
	assert_string_equal(set.principal, "arn:aws:sts::123456789012:assumed-role/F/app1");
	assert_string_equal(set.account_id, "123456789012");
	assert_int_equal(set.generation, 0);
}

/* The reference's example breaks the token's line, which the wire does not do. */
static void example_of_the_reference(void **state)
{
	struct credentials_set set;
	char problem[XML_PROBLEM_SIZE];
	char *text = strdup(assume_role), *token;

	assert_non_null(text);
	assert_int_equal(
		read_keys(STS_ASSUME_ROLE, text, strlen(text), &set, problem), ERR_PROTOCOL);
	assert_string_equal(problem, "a blank or an odd character in Credentials/SessionToken");
	token = strstr(text, "\n       AQoD");
	memmove(token, token + 8, strlen(token + 8) + 1);
	token = strstr(text, "\n      </SessionToken>");
	memmove(token, token + 7, strlen(token + 7) + 1);
	assert_int_equal(read_keys(STS_ASSUME_ROLE, text, strlen(text), &set, problem), 0);
	assert_string_equal(set.access_key_id, "ASIAIOSFODNN7EXAMPLE");
	assert_int_equal(set.expires_epoch_ms, INT64_C(1573306481000));
	/* It is an answer to one operation only. */
	assert_int_equal(read_keys(STS_ASSUME_WITH_WEB_IDENTITY, text, strlen(text), &set, problem),
		ERR_PROTOCOL);
	free(text);
}

static void other_spellings_of_the_same(void **state)
{
	static const char *const texts[] = {
		/* A prefix for the namespace, a declaration, a comment, an instruction, CDATA. */
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><?pi x?>"
		"<s:" WEB "Response xmlns:s=\"x\"><s:" WEB "Result><s:Credentials>"
		"<s:AccessKeyId>A&#x4b;</s:AccessKeyId><s:SecretAccessKey>"
		"<![CDATA[s&c]]>r<!-- c -->et</s:SecretAccessKey><s:SessionToken>t&amp;&lt;&gt;"
		"&quot;&apos;</s:SessionToken><s:Expiration>2014-10-24T23:00:23+00:00"
		"</s:Expiration></s:Credentials></s:" WEB "Result></s:" WEB "Response>",
		/* Attributes, unknown elements, the same names elsewhere; no user. */
		"<" WEB
		"Response a='1'><Credentials><AccessKeyId>no</AccessKeyId></Credentials><" WEB
		"Result><New><AccessKeyId>no</AccessKeyId></New><Credentials><AccessKeyId x='y'>AK"
		"</AccessKeyId><SecretAccessKey>s&amp;cret</SecretAccessKey><SessionToken>"
		"t&amp;&lt;>\"'</SessionToken><Expiration>2014-10-24T23:00:23Z</Expiration>"
		"</Credentials></" WEB "Result></" WEB "Response>",
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct credentials_set set;
		char problem[XML_PROBLEM_SIZE];

		assert_int_equal(read_keys(STS_ASSUME_WITH_WEB_IDENTITY, texts[i], strlen(texts[i]),
					 &set, problem),
			0);
		assert_string_equal(set.access_key_id, "AK");
		assert_string_equal(set.secret_access_key, "s&cret");
		assert_string_equal(set.session_token, "t&<>\"'");
		assert_int_equal(set.expires_epoch_ms, INT64_C(1414191623000));
		assert_string_equal(set.principal, "");
		assert_string_equal(set.account_id, "");
	}
}

#define WITH(inside) KEYS_OF(WEB, "<Credentials>" inside "</Credentials>")

static void keys_that_are_none(void **state)
{
	assert_refused(WITH(SECRET TOKEN EXPIRATION), "no Credentials/AccessKeyId");
	assert_refused(WITH(ID TOKEN EXPIRATION), "no Credentials/SecretAccessKey");
	assert_refused(WITH(ID SECRET EXPIRATION), "no Credentials/SessionToken");
	assert_refused(WITH(ID SECRET TOKEN), "no Credentials/Expiration");
	assert_refused(WITH(ID SECRET EXPIRATION "<SessionToken/>"), "no Credentials/SessionToken");
	assert_refused(KEYS_OF(WEB, ""), "no Credentials/AccessKeyId");
	assert_refused("<" WEB "Response/>", "no Credentials/AccessKeyId");
	assert_refused("<html><body>Sign in</body></html>", "no Credentials/AccessKeyId");
	assert_refused(identity_answer, "no Credentials/AccessKeyId");
	assert_refused(WITH(ID ID SECRET TOKEN EXPIRATION), "Credentials/AccessKeyId twice");
	assert_refused(WITH(ID SECRET TOKEN EXPIRATION "<SessionToken/>"),
		"Credentials/SessionToken twice");
	assert_refused(WITH("<AccessKeyId>A<b>C</b></AccessKeyId>" SECRET TOKEN EXPIRATION),
		"an element inside of Credentials/AccessKeyId");
	assert_refused(WITH("<AccessKeyId>A\nX-Evil: 1</AccessKeyId>" SECRET TOKEN EXPIRATION),
		"a blank or an odd character in Credentials/AccessKeyId");
	assert_refused(WITH(ID SECRET EXPIRATION "<SessionToken>a&#13;b</SessionToken>"),
		"a blank or an odd character in Credentials/SessionToken");
	assert_refused(WITH(ID SECRET EXPIRATION "<SessionToken>\xc3\xa9</SessionToken>"),
		"a blank or an odd character in Credentials/SessionToken");
}

static void expirations_that_are_none(void **state)
{
	static const char *const times[] = {"soon", "0", "1970-01-01T00:00:00Z",
		"1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-01-02T03:04:05"};

	for (size_t i = 0; i < COUNT_OF(times); i++) {
		char text[1024];

		snprintf(text, sizeof(text), WITH(ID SECRET TOKEN "<Expiration>%s</Expiration>"),
			times[i]);
		assert_refused(text, "an Expiration that is no time after 1970");
	}
}

static void principals_that_are_none(void **state)
{
	static const char *const arns[][2] = {
		{"arn:aws-cn:sts::123456789012:assumed-role/a/b", "123456789012"},
		{"arn:aws:sts::12345678901:assumed-role/a/b", ""},
		{"arn:aws:sts::1234567890123:assumed-role/a/b", ""},
		{"arn:aws:sts::aws:assumed-role/a/b", ""},
		{"arn:aws:sts", ""},
		{"x", ""},
	};
	struct credentials_set set;
	char problem[XML_PROBLEM_SIZE], text[2048];

	for (size_t i = 0; i < COUNT_OF(arns); i++) {
		snprintf(text, sizeof(text),
			KEYS_OF(WEB,
				"<AssumedRoleUser><Arn>%s</Arn></AssumedRoleUser><Credentials>" ID
					SECRET TOKEN EXPIRATION "</Credentials>"),
			arns[i][0]);
		assert_int_equal(
			read_keys(STS_ASSUME_WITH_WEB_IDENTITY, text, strlen(text), &set, problem),
			0);
		assert_string_equal(set.principal, arns[i][0]);
		assert_string_equal(set.account_id, arns[i][1]);
	}
	snprintf(text, sizeof(text), "%s",
		KEYS_OF(WEB,
			"<AssumedRoleUser><Arn>two words</Arn></AssumedRoleUser><Credentials>" ID
				SECRET TOKEN EXPIRATION "</Credentials>"));
	assert_int_equal(
		read_keys(STS_ASSUME_WITH_WEB_IDENTITY, text, strlen(text), &set, problem), 0);
	assert_string_equal(set.principal, "");
}

static void identities_are_read(void **state)
{
	static const char *const accounts[] = {"", "12345678901", "1234567890123", "12345678901x"};
	struct sts_identity identity;
	char problem[XML_PROBLEM_SIZE], text[1024];

	assert_int_equal(
		sts_answer_identity(identity_answer, strlen(identity_answer), &identity, problem),
		0);
	assert_string_equal(identity.account_id, "123456789012");
	assert_string_equal(identity.arn, "arn:aws:iam::123456789012:user/Alice");
	for (size_t i = 0; i < COUNT_OF(accounts); i++) {
		snprintf(text, sizeof(text),
			KEYS_OF("GetCallerIdentity", "<Arn>arn</Arn><Account>%s</Account>"),
			accounts[i]);
		assert_int_equal(
			sts_answer_identity(text, strlen(text), &identity, problem), ERR_PROTOCOL);
		assert_string_equal(
			problem, i == 0 ? "no Account" : "an Account that is not 12 digits");
	}
	assert_string_equal(identity.account_id, "123456789012");
}

/* ---- errors */

#define ERROR_OF(code, message)                                                            \
	"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>" \
	"Sender</Type><Code>" code "</Code><Message>" message                              \
	"</Message></Error><RequestId>r</RequestId></ErrorResponse>"

static const struct {
	const char *code;
	int status, err;
} errors[] = {
	/* STS API reference: "Common Errors" and those of the three operations. */
	{"AccessDenied", 403, ERR_ACCESS_DENIED},
	{"AccessDeniedException", 400, ERR_ACCESS_DENIED},
	{"ExpiredToken", 403, ERR_EXPIRED_CREDENTIALS},
	{"ExpiredTokenException", 400, ERR_EXPIRED_CREDENTIALS},
	{"IDPCommunicationError", 400, ERR_UNAVAILABLE},
	{"IDPRejectedClaim", 403, ERR_ACCESS_DENIED},
	{"IncompleteSignature", 400, ERR_BAD_CREDENTIALS},
	{"InternalFailure", 500, ERR_UNAVAILABLE},
	{"InvalidAction", 400, ERR_REFUSED},
	{"InvalidClientTokenId", 403, ERR_BAD_CREDENTIALS},
	{"InvalidIdentityToken", 400, ERR_BAD_CREDENTIALS},
	{"MalformedPolicyDocument", 400, ERR_REFUSED},
	{"MissingAuthenticationToken", 403, ERR_BAD_CREDENTIALS},
	{"MissingParameter", 400, ERR_REFUSED},
	{"NotAuthorized", 400, ERR_ACCESS_DENIED},
	{"OptInRequired", 403, ERR_ACCESS_DENIED},
	{"PackedPolicyTooLarge", 400, ERR_REFUSED},
	{"RegionDisabledException", 403, ERR_ACCESS_DENIED},
	{"RequestExpired", 400, ERR_CLOCK_SKEW},
	{"ServiceUnavailable", 503, ERR_UNAVAILABLE},
	{"SignatureDoesNotMatch", 403, ERR_BAD_CREDENTIALS},
	{"Throttling", 400, ERR_THROTTLED},
	{"ThrottlingException", 400, ERR_THROTTLED},
	{"ValidationError", 400, ERR_REFUSED},
	/* By status. */
	{"NeverHeardOf", 400, ERR_REFUSED},
	{"NeverHeardOf", 403, ERR_ACCESS_DENIED},
	{"NeverHeardOf", 429, ERR_THROTTLED},
	{"NeverHeardOf", 502, ERR_UNAVAILABLE},
	{"NeverHeardOf", 302, ERR_PROTOCOL},
};

static void every_error(void **state)
{
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		struct query_failure failure;
		char text[1024];

		snprintf(text, sizeof(text), ERROR_OF("%s", "because &amp; so"), errors[i].code);
		assert_int_equal(query_answer_error(errors[i].status, 0, text, strlen(text),
					 sts_codes, STS_CODES, &failure),
			errors[i].err);
		assert_string_equal(failure.code, errors[i].code);
		assert_string_equal(failure.message, "because & so");
	}
}

static void clock_is_told_from_keys(void **state)
{
	static const char text[] = ERROR_OF("SignatureDoesNotMatch", "Signature expired: ...");
	struct query_failure failure;

	assert_int_equal(
		query_answer_error(403, 240000, text, strlen(text), sts_codes, STS_CODES, &failure),
		ERR_BAD_CREDENTIALS);
	assert_int_equal(
		query_answer_error(403, 240001, text, strlen(text), sts_codes, STS_CODES, &failure),
		ERR_CLOCK_SKEW);
	assert_int_equal(query_answer_error(
				 403, -240001, text, strlen(text), sts_codes, STS_CODES, &failure),
		ERR_CLOCK_SKEW);
}

/* Only the status is left of these. */
static void errors_that_are_none(void **state)
{
	static const char *const texts[] = {"", "<html>503</html>", "{\"__type\":\"AccessDenied\"}",
		"<ErrorResponse><Error><Code>AccessDenied</Code>", "\x1f\x8b\x08",
		"<Error><Code>AccessDenied</Code></Error>",
		"<ErrorResponse><Error><Code>A</Code><Code>B</Code></Error></ErrorResponse>"};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct query_failure failure;

		assert_int_equal(query_answer_error(503, 0, texts[i], strlen(texts[i]), sts_codes,
					 STS_CODES, &failure),
			ERR_UNAVAILABLE);
		assert_string_equal(failure.code, "");
		assert_string_equal(failure.message, "");
	}
}

static void messages_are_cleaned(void **state)
{
	static const char lines[] = ERROR_OF("SignatureDoesNotMatch",
		"\n  It does not\tmatch.\n\nThe Canonical String should have been\n'POST\n/\n"
		"x-amz-security-token:TOKEN'");
	struct query_failure failure;
	char text[4096], longer[1500];

	query_answer_error(403, 0, lines, strlen(lines), sts_codes, STS_CODES, &failure);
	assert_string_equal(failure.message, "It does not match.");

	/* Cut between two characters: 99 of three bytes and two of the next one do not fit. */
	for (size_t i = 0; i < 500; i++)
		memcpy(longer + 3 * i, "\xe3\x81\x8a", 3);
	snprintf(text, sizeof(text), ERROR_OF("A", "x%.1497s"), longer);
	query_answer_error(403, 0, text, strlen(text), sts_codes, STS_CODES, &failure);
	assert_int_equal(strlen(failure.message), 1 + 99 * 3);
	assert_memory_equal(failure.message + 1, longer, 99 * 3);
}

static void secrets_are_hidden(void **state)
{
	static const char *const cases[][3] = {
		/* message, secret, what is left */
		{"token FwoGZXIvYXdzEBYaD!", "FwoGZXIvYXdzEBYaD", "token "},
		{"token FwoGZXIvYXdz", "FwoGZXIvYXdzEBYaD", "token "},
		{"from the middle: ZXIvYXdzEBYaDxx", "FwoGZXIvYXdzEBYaDxxxxx", "from the middle: "},
		{"eleven of it: FwoGZXIvYXd", "FwoGZXIvYXdzEBYaD", "eleven of it: FwoGZXIvYXd"},
		{"AKIDSHORT is unknown", "AKIDSHORT", ""},
		{"an abc", "abc", "an abc"},
		{"nothing", "", "nothing"},
		{"", "FwoGZXIvYXdzEBYaD", ""},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char message[100];

		snprintf(message, sizeof(message), "%s", cases[i][0]);
		query_message_hide(message, cases[i][1], strlen(cases[i][1]));
		assert_string_equal(message, cases[i][2]);
	}
}

/* ---- hostile */

static void cut_at_each_byte(void **state)
{
	struct credentials_set set;
	struct sts_identity identity;
	struct query_failure failure;
	char problem[XML_PROBLEM_SIZE];
	static const char error[] = ERROR_OF("AccessDenied", "m");
	size_t end = strlen(web_identity);

	for (size_t len = 0; len < end; len++)
		assert_int_equal(
			read_keys(STS_ASSUME_WITH_WEB_IDENTITY, web_identity, len, &set, problem),
			ERR_PROTOCOL);
	for (size_t len = 0; len + 2 < sizeof(identity_answer); len++)
		assert_int_equal(sts_answer_identity(identity_answer, len, &identity, problem),
			ERR_PROTOCOL);
	for (size_t len = 0; len + 1 < sizeof(error); len++) {
		assert_int_equal(
			query_answer_error(500, 0, error, len, sts_codes, STS_CODES, &failure),
			ERR_UNAVAILABLE);
		assert_string_equal(failure.code, "");
	}
	/* And with something behind it. */
	assert_not_xml(KEYS_OF(WEB, "") "x");
	assert_not_xml(KEYS_OF(WEB, "") "<b/>");
}

static void each_byte_a_nul(void **state)
{
	struct credentials_set set;
	char problem[XML_PROBLEM_SIZE];
	char text[sizeof(web_identity)];

	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		memcpy(text, web_identity, sizeof(text));
		text[i] = '\0';
		assert_int_equal(read_keys(STS_ASSUME_WITH_WEB_IDENTITY, text, sizeof(text) - 1,
					 &set, problem),
			ERR_PROTOCOL);
	}
	assert_not_xml(WITH("<AccessKeyId>A&#0;B</AccessKeyId>" SECRET TOKEN EXPIRATION));
}

static void doctypes_are_refused(void **state)
{
	static const char laughs[] =
		"<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [\n<!ENTITY lol \"lol\">\n"
		"<!ENTITY lol1 \"&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;\">\n"
		"<!ENTITY lol2 \"&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;\">\n"
		"]>\n" WITH("<AccessKeyId>&lol2;</AccessKeyId>");

	assert_refused(laughs, "a DOCTYPE");
	assert_refused("<!DOCTYPE a SYSTEM \"file:///etc/passwd\">" KEYS_OF(WEB, ""), "a DOCTYPE");
	assert_refused("<!DOCTYPE a PUBLIC \"p\" \"http://h/\" [<!ENTITY % x SYSTEM \"y\"> %x;]>"
		       "<a/>",
		"a DOCTYPE");
	assert_refused("<!DOCTYPE a>" KEYS_OF(WEB, ""), "a DOCTYPE");
	assert_not_xml(WITH("<AccessKeyId>&undefined;</AccessKeyId>"));
}

static void depth_is_bounded(void **state)
{
	struct buf text = BUF_INIT((size_t)1 << 20);

	for (int i = 0; i < 16; i++)
		buf_append_string(&text, "<a>");
	for (int i = 0; i < 16; i++)
		buf_append_string(&text, "</a>");
	assert_refused(buf_string(&text), "no Credentials/AccessKeyId");
	buf_clear(&text);
	for (int i = 0; i < 17; i++)
		buf_append_string(&text, "<a>");
	assert_refused(buf_string(&text), "elements nested more than 16 deep");
	buf_clear(&text);
	while (text.len < 100000)
		buf_append_string(&text, "<a>");
	assert_refused(buf_string(&text), "elements nested more than 16 deep");
	buf_free(&text);
}

static void texts_are_bounded(void **state)
{
	struct buf text = BUF_INIT((size_t)32 << 20);
	char *filler = malloc(10000001);
	struct credentials_set set;
	char problem[XML_PROBLEM_SIZE];

	assert_non_null(filler);
	memset(filler, 'x', 10000000);
	filler[10000000] = '\0';
	/* 16,383 bytes of token fit, one more does not. */
	buf_appendf(
		&text, WITH(ID SECRET EXPIRATION "<SessionToken>%.16383s</SessionToken>"), filler);
	assert_int_equal(
		read_keys(STS_ASSUME_WITH_WEB_IDENTITY, buf_string(&text), text.len, &set, problem),
		0);
	assert_int_equal(strlen(set.session_token), 16383);
	buf_clear(&text);
	buf_appendf(
		&text, WITH(ID SECRET EXPIRATION "<SessionToken>%.16384s</SessionToken>"), filler);
	assert_refused(buf_string(&text), "Credentials/SessionToken is longer than 16383 bytes");
	/* What is not wanted may be long, up to the document's own bound. */
	buf_clear(&text);
	buf_appendf(&text, WITH(ID SECRET EXPIRATION TOKEN "<X>%.100000s</X>"), filler);
	assert_int_equal(
		read_keys(STS_ASSUME_WITH_WEB_IDENTITY, buf_string(&text), text.len, &set, problem),
		0);
	buf_clear(&text);
	buf_appendf(&text, WITH(ID SECRET EXPIRATION TOKEN "<X>%s</X>"), filler);
	assert_int_equal(text.err, 0);
	assert_refused(buf_string(&text), "more than 131072 bytes");
	/* A name that is longer than any path. */
	buf_clear(&text);
	buf_appendf(&text,
		"<" WEB "Response><" WEB "Result><%.300s/><Credentials>" ID SECRET TOKEN EXPIRATION
		"</Credentials></" WEB "Result></" WEB "Response>",
		filler);
	assert_int_equal(
		read_keys(STS_ASSUME_WITH_WEB_IDENTITY, buf_string(&text), text.len, &set, problem),
		0);
	buf_free(&text);
	free(filler);
}

static void encodings_are_not_believed(void **state)
{
	assert_not_xml("\xff\xfe<\0a\0/\0>\0");
	assert_not_xml("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" WITH(
		ID SECRET EXPIRATION "<SessionToken>\xe9</SessionToken>"));
}

/* ---- forms */

static void forms(void **state)
{
	static const struct sts_role role = {
		"arn:aws:iam::123456789012:role/a b", "me+you=,.@-_~", "x/&=%\xc3\xa9", 900};
	static const struct sts_role plain = {"r", "s", NULL, 0};
	struct buf form = BUF_INIT(4096);
	size_t token_at;

	assert_int_equal(sts_form_assume_role(&form, &role), 0);
	assert_string_equal(buf_string(&form),
		"Action=AssumeRole&Version=2011-06-15"
		"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa%20b"
		"&RoleSessionName=me%2Byou%3D%2C.%40-_~&DurationSeconds=900"
		"&ExternalId=x%2F%26%3D%25%C3%A9");
	buf_clear(&form);
	assert_int_equal(sts_form_assume_role(&form, &plain), 0);
	assert_string_equal(buf_string(&form),
		"Action=AssumeRole&Version=2011-06-15&RoleArn=r&RoleSessionName=s");
	buf_clear(&form);
	assert_int_equal(sts_form_web_identity(&form, &plain, "a.b-c_d=", &token_at), 0);
	assert_string_equal(buf_string(&form),
		"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=r&RoleSessionName=s"
		"&WebIdentityToken=a.b-c_d%3D");
	assert_string_equal(buf_string(&form) + token_at, "a.b-c_d%3D");
	buf_clear(&form);
	assert_int_equal(sts_form_identity(&form), 0);
	assert_string_equal(buf_string(&form), "Action=GetCallerIdentity&Version=2011-06-15");
	buf_free(&form);
}

/* buf_wipe() reaches what was written only if it was never moved. */
static void forms_are_not_moved(void **state)
{
	static char text[5001];
	struct sts_role role = {text, text, text, 4294967295u};
	struct buf form = BUF_INIT((size_t)128 << 10);
	size_t token_at;

	memset(text, '%', sizeof(text) - 1);
	assert_int_equal(sts_form_web_identity(&form, &role, text, &token_at), 0);
	assert_in_range(form.capacity, form.len, form.len + 5000 * 3 + 400);
	buf_clear(&form);
	buf_free(&form);
	buf_init(&form, 1000);
	assert_int_equal(sts_form_assume_role(&form, &role), ERR_TOO_LARGE);
	buf_free(&form);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_read),
		cmocka_unit_test(example_of_the_reference),
		cmocka_unit_test(other_spellings_of_the_same),
		cmocka_unit_test(keys_that_are_none),
		cmocka_unit_test(expirations_that_are_none),
		cmocka_unit_test(principals_that_are_none),
		cmocka_unit_test(identities_are_read),
		cmocka_unit_test(every_error),
		cmocka_unit_test(clock_is_told_from_keys),
		cmocka_unit_test(errors_that_are_none),
		cmocka_unit_test(messages_are_cleaned),
		cmocka_unit_test(secrets_are_hidden),
		cmocka_unit_test(cut_at_each_byte),
		cmocka_unit_test(each_byte_a_nul),
		cmocka_unit_test(doctypes_are_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(texts_are_bounded),
		cmocka_unit_test(encodings_are_not_believed),
		cmocka_unit_test(forms),
		cmocka_unit_test(forms_are_not_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
