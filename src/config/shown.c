/*
 * What config_print() writes instead of values that hold a secret, by the field's address: the
 * fields do not move once the configuration is read.
 */
#include "bunshin/error.h"
#include "config/reader.h"

#include <stdlib.h>
#include <string.h>

struct config_shown {
	const void *field;
	char *text;
};

static struct config_shown *find(const struct config *config, const void *field)
{
	for (size_t i = 0; i < config->shown_count; i++)
		if (config->shown[i].field == field)
			return &config->shown[i];
	return NULL;
}

static void forget(struct config *config, const void *field)
{
	struct config_shown *shown = find(config, field);

	if (shown == NULL)
		return;
	free(shown->text);
	*shown = config->shown[--config->shown_count];
}

int shown_set(struct config *config, const void *field, const char *text)
{
	struct config_shown *grown;
	char *copy;

	forget(config, field);
	if (text == NULL)
		return 0;
	grown = realloc(config->shown, (config->shown_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	config->shown = grown;
	copy = strdup(text);
	if (copy == NULL)
		return ERR_NOMEM;
	grown[config->shown_count++] = (struct config_shown){.field = field, .text = copy};
	return 0;
}

const char *shown_find(const struct config *config, const void *field)
{
	const struct config_shown *shown = find(config, field);

	return shown == NULL ? NULL : shown->text;
}

void shown_free(struct config *config)
{
	for (size_t i = 0; i < config->shown_count; i++)
		free(config->shown[i].text);
	free(config->shown);
}
