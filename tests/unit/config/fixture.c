#include "fixture.h"

#include "base/log.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/bunshin-config-XXXXXX";

int fixture_enter(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(mkdir("credentials", 0700), 0);
	return 0;
}

int fixture_leave(void **state)
{
	char command[100];

	(void)state;
	log_clear_secrets();
	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf -- %s", directory);
	return system(command);
}

void fixture_write(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static const char *fake_getenv(void *arg, const char *name)
{
	static const char *const variables[][2] = {
		{"LINE_TOKEN", "secret-line-token"},
		{"HOST", "api.example.com"},
		{"EMPTY", ""},
		{"QUOTES", "\"'"},
		{"BAD", "caf\xe9"},
		{"YAML", "x\n  wait: 1s # {[&*!|>%@`"},
		{"_a1", "underscore"},
		{"CREDENTIALS_DIRECTORY", "credentials"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		if (strcmp(variables[i][0], name) == 0)
			return variables[i][1];
	return NULL;
}

const struct config_environment fixture_environment = {.getenv = fake_getenv};

int fixture_load(const char *yaml, struct config **ret_config, struct buf *errors)
{
	fixture_write("t.yaml", yaml, strlen(yaml));
	buf_clear(errors);
	return config_load("t.yaml", &fixture_environment, NULL, 0, ret_config, errors);
}

struct config *fixture_load_valid(const char *yaml)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;
	int err = fixture_load(yaml, &config, &errors);

	assert_string_equal(buf_string(&errors), "");
	assert_int_equal(err, 0);
	buf_free(&errors);
	return config;
}

size_t fixture_check_bad(const struct fixture_bad_case *cases, size_t count)
{
	struct buf errors = BUF_INIT(1 << 16);
	size_t different = 0;

	fixture_write("secret", "file-secret\n", 12);
	for (size_t i = 0; i < count; i++) {
		struct config *config = NULL;

		assert_int_equal(fixture_load(cases[i].yaml, &config, &errors), ERR_CONFIG);
		assert_null(config);
		if (strcmp(buf_string(&errors), cases[i].errors) == 0)
			continue;
		different++;
		print_error("%s\nexpected:\n%sgot:\n%s\n", cases[i].yaml, cases[i].errors,
			buf_string(&errors));
	}
	buf_free(&errors);
	return different;
}
