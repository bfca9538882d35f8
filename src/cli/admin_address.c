#include "cli/admin_address.h"

#include "cli/run/admin_socket.h"
#include "config/config.h"

#include <string.h>
#include <unistd.h>

#define ADDRESS_DEFAULT "127.0.0.1:9797"

int admin_address_find(const char *path, const char *admin, struct buf *address, struct buf *errors)
{
	struct config *config;
	int err;

	if (admin)
		return buf_append_string(address, admin);
	if (strcmp(path, CONFIG_DEFAULT_PATH) == 0 && access(path, R_OK) != 0)
		return buf_append_string(address, ADDRESS_DEFAULT);
	err = config_load(path, &config_process_environment, NULL, 0, &config, errors);
	if (err)
		return err;
	if (config->admin.listen)
		buf_append_string(address, config->admin.listen);
	config_free(config);
	return address->err;
}

int admin_address_url(const char *address, const char *page, struct buf *url)
{
	if (admin_socket_path(address))
		buf_append_string(url, "http://localhost");
	else if (strncmp(address, "0.0.0.0:", 8) == 0)
		buf_appendf(url, "http://127.0.0.1:%s", address + 8);
	else if (strncmp(address, "[::]:", 5) == 0)
		buf_appendf(url, "http://[::1]:%s", address + 5);
	else if (strncmp(address, "http://", 7) == 0)
		buf_append_string(url, address);
	else
		buf_appendf(url, "http://%s", address);
	if (url->len > 0 && url->data[url->len - 1] == '/')
		buf_truncate(url, url->len - 1);
	return buf_append_string(url, page);
}
