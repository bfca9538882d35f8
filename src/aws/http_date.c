#include "aws/http_date.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

/* Digits where the form has 0, anything where it has ?, itself elsewhere. */
static bool has_form(const char *text)
{
	static const char form[] = "???, 00 ??? 0000 00:00:00 GMT";

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i] != '\0'; i++) {
		bool fits = form[i] == '?' || (form[i] == '0' ? text[i] >= '0' && text[i] <= '9'
							      : text[i] == form[i]);

		if (!fits)
			return false;
	}
	return true;
}

static int number(const char *digits, size_t count)
{
	int value = 0;

	for (size_t i = 0; i < count; i++)
		value = value * 10 + (digits[i] - '0');
	return value;
}

int http_date_parse(const char *text, int64_t *ret_epoch_ms)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm utc = {0};
	struct tm again;
	const char *month;
	char name[4];
	time_t seconds;

	if (!has_form(text))
		return ERR_SYNTAX;
	memcpy(name, text + 8, 3);
	name[3] = '\0';
	month = strstr(months, name);
	if (month == NULL || (month - months) % 3 != 0)
		return ERR_SYNTAX;
	utc.tm_mday = number(text + 5, 2);
	utc.tm_mon = (int)(month - months) / 3;
	utc.tm_year = number(text + 12, 4) - 1900;
	utc.tm_hour = number(text + 17, 2);
	utc.tm_min = number(text + 20, 2);
	utc.tm_sec = number(text + 23, 2);
	again = utc;
	seconds = timegm(&again);
	/* timegm() carries over what is out of range: 31 Feb, 25:00, second 60. */
	if (seconds < 0 || again.tm_mday != utc.tm_mday || again.tm_hour != utc.tm_hour ||
		again.tm_min != utc.tm_min)
		return ERR_SYNTAX;
	*ret_epoch_ms = (int64_t)seconds * 1000;
	return 0;
}
