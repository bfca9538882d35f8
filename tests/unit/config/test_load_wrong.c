/* config_load(): every kind of bad input, with its exact message, and the last that is taken. */
#include "base/log.h"
#include "bunshin/error.h"
#include "config/options.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define URL "https://sqs.eu-west-1.amazonaws.com/123456789012/name"

#define TOP_KEYS                                                                                   \
	"queue, destinations, retry, workers, watchdog, instance, fleet_hosts, ledger, outcomes, " \
	"admin, metrics, log, tracing, drain"

/* The smallest destination, on one line. */
#define DESTINATION(more) "destinations: [{name: d, request: {url: 'http://h/'" more "}}]\n"

/* One kind of mistake each; lines and columns count from 1. */
static const struct fixture_bad_case bad_yaml[] = {
	{"queue:\n  url: [a\n",
		"t.yaml:3:1: not YAML: did not find expected ',' or ']' (while parsing a flow "
		"sequence at line 2)\n"},
	{"queue:\n\twait: 1s\n",
		"t.yaml:2:1: not YAML: found character that cannot start any token (while scanning "
		"for the next token at line 2)\n"},
	{"queue: {}\nlog: \"caf\xe9\"\n", "t.yaml:2:11: not YAML: invalid trailing UTF-8 octet\n"},
	{"queue: {}\nlog: \x01\n", "t.yaml:2:6: not YAML: control characters are not allowed\n"},
	{"a: &x [1]\nb: *x\n", "t.yaml:2:4: aliases (*name) are not supported\n"},
	{"queue: {}\n---\nqueue: {}\n", "t.yaml:2:1: a second document; there may be only one\n"},
	{"queue: !!map {}\n", "t.yaml:1:8: tags (!name) are not supported\n"},
	{"queue: {wait: !secs 20s}\n", "t.yaml:1:15: tags (!name) are not supported\n"},
	{"queue: {a: {b: [[[[[[[[[[[[[[]]]]]]]]]]]]]]}}\n",
		"t.yaml:1:29: lists and maps nested too deep\n"},
	{"destinations: !list []\n", "t.yaml:1:15: tags (!name) are not supported\n"},
	{"[]", "t.yaml:1:1: expected a map of options, got a list\n"},
	{"text", "t.yaml:1:1: expected a map of options, got a text\n"},
	{"? [a]\n: b\n", "t.yaml:1:3: expected a key, got a list\n"},
	{"\"a\\0b\": 1\n", "t.yaml:1:1: a key with a NUL character\n"},
	{"log: {level: \"in\\0fo\"}\n", "t.yaml:1:14: log.level: expected one of debug, info, warn "
					"or error, got a text with "
					"a NUL character\n"},
};

static const struct fixture_bad_case bad_keys[] = {
	{"queue:\n  wiat: 20s\n", "t.yaml:2:3: queue.wiat: unknown key; did you mean \"wait\"?\n"},
	{"queue:\n  failureurl: x\n",
		"t.yaml:2:3: queue.failureurl: unknown key; did you mean \"failure_url\"?\n"},
	{"quue: {}\n", "t.yaml:1:1: quue: unknown key; did you mean \"queue\"?\n"},
	{"destination: []\n",
		"t.yaml:1:1: destination: unknown key; did you mean \"destinations\"?\n"},
	{"timeout: 5s\n", "t.yaml:1:1: timeout: unknown key; there is destinations[].timeout\n"},
	{"processes: 5\n", "t.yaml:1:1: processes: unknown key; expected one of " TOP_KEYS "\n"},
	{"ledgre: {path: x}\nwroker: {min: 1}\n",
		"t.yaml:1:1: ledgre: unknown key; did you mean \"ledger\"?\n"
		"t.yaml:2:1: wroker: unknown key; did you mean \"workers\"?\n"},
	{"wachtdog: off\n", "t.yaml:1:1: wachtdog: unknown key; did you mean \"watchdog\"?\n"},
	{"instance: {notice: ec2}\n",
		"t.yaml:1:12: instance.notice: unknown key; did you mean \"notices\"?\n"},
	{"emf: 1m\n", "t.yaml:1:1: emf: unknown key; there is metrics.emf\n"},
	{"destinations:\n  - {name: a, verify: no, request: {url: 'http://h/'}}\n",
		"t.yaml:2:15: destinations[0].verify: unknown key; expected one of name, when, "
		"request, batch, auth, timeout, connect_timeout, concurrency, connections, "
		"adaptive, rate, breaker, "
		"accept, "
		"outcomes, retry, retry_after_path, http_version, trace, ca_file\n"},
	{"queue.url: x\n",
		"t.yaml:1:1: \"queue.url\": unknown key; expected one of " TOP_KEYS "\n"},
	{"destinations[]: {name: x}\n",
		"t.yaml:1:1: \"destinations[]\": unknown key; did you mean \"destinations\"?\n"},
	{"\"\": 1\n", "t.yaml:1:1: \"\": unknown key; expected one of " TOP_KEYS "\n"},
	{"\"a\\nb\\e\": 1\n",
		"t.yaml:1:1: \"a\\nb\\u001b\": unknown key; expected one of " TOP_KEYS "\n"},
	{"log: {level: info, level: warn}\n",
		"t.yaml:1:20: log.level: given twice; the first is on line 1\n"},
	{"log: {}\nqueue: {}\nlog: {}\n", "t.yaml:3:1: log: given twice; the first is on line 1\n"},
	{"queue: 5\n", "t.yaml:1:8: queue: expected a map of options, got a text\n"},
	{"queue: [wait]\n", "t.yaml:1:8: queue: expected a map of options, got a list\n"},
};

static const struct fixture_bad_case bad_values[] = {
	{"queue:\n  wait: 20\n", "t.yaml:2:9: queue.wait: expected a duration from 0s to 20s (like "
				 "20s), got \"20\"\n"},
	{"queue: {wait: 21s}\n",
		"t.yaml:1:15: queue.wait: expected a duration from 0s to 20s (like 20s), got "
		"\"21s\"\n"},
	{"queue: {wait: 1500ms}\n",
		"t.yaml:1:15: queue.wait: expected whole seconds, got \"1500ms\"\n"},
	{"queue: {wait: }\n",
		"t.yaml:1:15: queue.wait: expected a duration from 0s to 20s (like 20s), got "
		"nothing\n"},
	{"queue: {wait: [1s]}\n", "t.yaml:1:15: queue.wait: expected a duration from 0s to 20s "
				  "(like 20s), got a list\n"},
	{"queue: {wait: {a: b}}\n", "t.yaml:1:15: queue.wait: expected a duration from 0s to 20s "
				    "(like 20s), got a map\n"},
	{"queue: {visibility: 0s}\n",
		"t.yaml:1:21: queue.visibility: expected auto or a duration from 1s to 12h, got "
		"\"0s\"\n"},
	{"queue: {visibility: 5 minutes}\n",
		"t.yaml:1:21: queue.visibility: expected auto or a duration from 1s to 12h, got "
		"\"5 minutes\"\n"},
	{"queue: {held: 64MB}\n",
		"t.yaml:1:15: queue.held: expected a size from 1MiB to 4GiB (like 64MiB), got "
		"\"64MB\"\n"},
	{"queue: {held: 99999999999999999999GiB}\n",
		"t.yaml:1:15: queue.held: expected a size from 1MiB to 4GiB (like 64MiB), got "
		"\"99999999999999999999GiB\"\n"},
	{"queue: {receivers: 0}\n", "t.yaml:1:20: queue.receivers: expected auto or an integer "
				    "from 1 to 256, "
				    "got \"0\"\n"},
	{"queue: {receivers: 257}\n", "t.yaml:1:20: queue.receivers: expected auto or an integer "
				      "from 1 to 256, "
				      "got \"257\"\n"},
	{"queue: {receivers: many}\n", "t.yaml:1:20: queue.receivers: expected auto or an integer "
				       "from 1 to 256, "
				       "got \"many\"\n"},
	{"queue: {url: morning}\n",
		"t.yaml:1:14: queue.url: expected a queue URL (like "
		"https://sqs.eu-west-1.amazonaws.com/123456789012/name), got \"morning\"\n"},
	{"queue: {endpoint: 'http://h/path'}\n",
		"t.yaml:1:19: queue.endpoint: expected an http or https URL without a path (like "
		"http://127.0.0.1:9324), got \"http://h/path\"\n"},
	{"queue: {url: " URL ", failure_url: " URL "}\n",
		"t.yaml:1:82: queue.failure_url: the same queue as queue.url\n"},
	{"queue: {url: " URL ", results_url: " URL "}\n",
		"t.yaml:1:82: queue.results_url: the same queue as queue.url\n"},
	{"queue: {failure_url: " URL ", results_url: " URL "}\n",
		"t.yaml:1:90: queue.results_url: the same queue as queue.failure_url\n"},
	{"queue: {results_url: 'http://h/a/b.fifo'}\n",
		"t.yaml:1:22: queue.results_url: a FIFO queue; results go to a standard one\n"},
	{"outcomes: {size: 2MiB, keep: 1MiB}\n",
		"t.yaml:1:30: outcomes.keep: outcomes.keep is less than outcomes.size\n"},
	{"outcomes: {size: 2GiB}\n",
		"t.yaml:1:18: outcomes.size: outcomes.keep is less than outcomes.size\n"},
	{"outcomes: {size: 1KiB}\n",
		"t.yaml:1:18: outcomes.size: expected a size from 1MiB to 4GiB (like 16MiB), got "
		"\"1KiB\"\n"},
	{"retry: {max_attempts: 1.5}\n", "t.yaml:1:23: retry.max_attempts: expected an integer "
					 "from 1 to 1000 (like 10), got "
					 "\"1.5\"\n"},
	{"retry: {base: 10s, cap: 5s}\n",
		"t.yaml:1:15: retry.base: retry.base is longer than retry.cap\n"},
	{"retry: {base: 6m}\n", "t.yaml:1:15: retry.base: retry.base is longer than retry.cap\n"},
	{"retry: {jitter: equal}\n",
		"t.yaml:1:17: retry.jitter: expected one of full or decorrelated, got \"equal\"\n"},
	{"retry: {jitter: null}\n",
		"t.yaml:1:17: retry.jitter: expected one of full or decorrelated, got nothing\n"},
	{"fleet_hosts: 0\n", "t.yaml:1:14: fleet_hosts: expected an integer from 1 to 100000 "
			     "(like 1), got \"0\"\n"},
	{"fleet_hosts: {hosts: 2}\n", "t.yaml:1:14: fleet_hosts: expected an integer from 1 to "
				      "100000 (like 1), got a map\n"},
	{"ledger: {window: 169h, size: 32, path: [a]}\n",
		"t.yaml:1:18: ledger.window: expected a duration from 1s to 168h (like 1h), got "
		"\"169h\"\n"
		"t.yaml:1:30: ledger.size: expected a size from 1MiB to 16GiB (like 64MiB), got "
		"\"32\"\n"
		"t.yaml:1:40: ledger.path: expected a file's path, got a list\n"},
	{"ledger: /var/lib/bunshin/ledger\n",
		"t.yaml:1:9: ledger: expected a map of options, got a text\n"},
	{"log: {level: INFO}\n", "t.yaml:1:14: log.level: expected one of debug, info, warn or "
				 "error, got \"INFO\"\n"},
	{"log: {format: ''}\n",
		"t.yaml:1:15: log.format: expected one of auto, text or json, got \"\"\n"},
	{"log: {format: xml}\n",
		"t.yaml:1:15: log.format: expected one of auto, text or json, got \"xml\"\n"},
	{"drain: {grace: 2h}\n", "t.yaml:1:16: drain.grace: expected a duration from 0s to 1h "
				 "(like 30s), got \"2h\"\n"},
};

#define WORKERS_EXPECTED "expected auto, a number from 1 to 1000, or {min: N, max: N}, got "
#define PATH_107                                                                           \
	"/2345678901234567890123456789012345678901234567890123456789012345678901234567890" \
	"123456789012345678901234567"
#define NAME_255                                                          \
	"a23456789012345678901234567890123456789012345678901234567890123" \
	"b23456789012345678901234567890123456789012345678901234567890123" \
	"c23456789012345678901234567890123456789012345678901234567890123" \
	"d23456789012345678901234567890123456789012345678901234567890123456"

static const struct fixture_bad_case bad_workers[] = {
	{"workers: 0\n", "t.yaml:1:10: workers: " WORKERS_EXPECTED "\"0\"\n"},
	{"workers: 1001\n", "t.yaml:1:10: workers: " WORKERS_EXPECTED "\"1001\"\n"},
	{"workers: many\n", "t.yaml:1:10: workers: " WORKERS_EXPECTED "\"many\"\n"},
	{"workers: 2-8\n", "t.yaml:1:10: workers: " WORKERS_EXPECTED "\"2-8\"\n"},
	{"workers:\n", "t.yaml:1:9: workers: " WORKERS_EXPECTED "nothing\n"},
	{"workers: [2, 8]\n", "t.yaml:1:10: workers: " WORKERS_EXPECTED "a list\n"},
	{"workers: {}\n", "t.yaml:1:10: workers.min: missing, but required\n"
			  "t.yaml:1:10: workers.max: missing, but required\n"},
	{"workers: {min: 3}\n", "t.yaml:1:10: workers.max: missing, but required\n"},
	{"workers: {max: 3}\n", "t.yaml:1:10: workers.min: missing, but required\n"},
	{"workers: {min: 0, max: 1001}\n",
		"t.yaml:1:16: workers.min: expected an integer from 1 to 1000 (like 2), got \"0\"\n"
		"t.yaml:1:24: workers.max: expected an integer from 1 to 1000 (like 16), got "
		"\"1001\"\n"},
	{"workers: {min: auto, max: }\n",
		"t.yaml:1:16: workers.min: expected an integer from 1 to 1000 (like 2), got "
		"\"auto\"\n"
		"t.yaml:1:27: workers.max: expected an integer from 1 to 1000 (like 16), got "
		"nothing\n"},
	{"workers: {min: [1], max: {a: b}}\n",
		"t.yaml:1:16: workers.min: expected an integer from 1 to 1000 (like 2), got a "
		"list\n"
		"t.yaml:1:26: workers.max: expected an integer from 1 to 1000 (like 16), got a "
		"map\n"},
	{"workers: {max: 4, min: 5}\n",
		"t.yaml:1:16: workers.max: workers.max is less than workers.min\n"},
	{"workers:\n  min: 2\n  max: 4\n  min: 3\n  mid: 3\n",
		"t.yaml:4:3: workers.min: given twice\n"
		"t.yaml:5:3: workers.mid: unknown key; expected min and max\n"},
	{"workers: {min: '${GONE}', max: '${HOST}'}\n",
		"t.yaml:1:16: workers.min: environment variable GONE is not set\n"
		"t.yaml:1:32: workers.max: expected an integer from 1 to 1000 (like 16), got "
		"\"api.example.com\"\n"},
	{"workers: {[a]: 1, \"b\\0\": 2, min: 1, max: 1}\n",
		"t.yaml:1:11: expected a key, got a list\n"
		"t.yaml:1:19: a key with a NUL character\n"},
	{"watchdog: 4s\n",
		"t.yaml:1:11: watchdog: expected off or a duration from 5s to 1h (like 1m), got "
		"\"4s\"\n"},
	{"watchdog: 0s\n",
		"t.yaml:1:11: watchdog: expected off or a duration from 5s to 1h (like 1m), got "
		"\"0s\"\n"},
};

static const struct fixture_bad_case bad_tracing[] = {
	{"tracing: {endpoint: 'http://h/v1?x', sample: 1.5}\n",
		"t.yaml:1:21: tracing.endpoint: expected an http or https URL without a query "
		"(like http://127.0.0.1:4318), got \"http://h/v1?x\"\n"
		"t.yaml:1:46: tracing.sample: expected a share from 0 to 1 (like 0.01), got "
		"\"1.5\"\n"},
	{"tracing: {endpoint: 'ftp://h', sample: 0.0000001}\n",
		"t.yaml:1:21: tracing.endpoint: expected an http or https URL without a query "
		"(like http://127.0.0.1:4318), got \"ftp://h\"\n"
		"t.yaml:1:40: tracing.sample: expected a share from 0 to 1 (like 0.01), got "
		"\"0.0000001\"\n"},
	{"tracing: {endpoint: 'http://u:p@h/', sample: 50%}\n",
		"t.yaml:1:21: tracing.endpoint: expected an http or https URL without a query "
		"(like http://127.0.0.1:4318), got \"http://u:p@h/\"\n"
		"t.yaml:1:46: tracing.sample: expected a share from 0 to 1 (like 0.01), got "
		"\"50%\"\n"},
	{"tracing: {endpoint: 'http://h/a/../b', sample: -0.1}\n",
		"t.yaml:1:21: tracing.endpoint: expected an http or https URL without a query "
		"(like http://127.0.0.1:4318), got \"http://h/a/../b\"\n"
		"t.yaml:1:48: tracing.sample: expected a share from 0 to 1 (like 0.01), got "
		"\"-0.1\"\n"},
	{"tracing: {headers: [a], resource: x}\n",
		"t.yaml:1:20: tracing.headers: expected a map of names to texts, got a list\n"
		"t.yaml:1:35: tracing.resource: expected a map of names to texts, got a text\n"},
	{"tracing: {headers: {'a b': x, Host: h, HOST: i, Content-Type: x, B: \"x\\ny\", C: [], "
	 "D: \"\xc3\xa9\"}}\n",
		"t.yaml:1:21: tracing.headers.\"a b\": not a header's name\n"
		"t.yaml:1:40: tracing.headers.HOST: given twice\n"
		"t.yaml:1:49: tracing.headers.Content-Type: always application/json\n"
		"t.yaml:1:69: tracing.headers.B: expected a text, got a text with a control "
		"character\n"
		"t.yaml:1:80: tracing.headers.C: expected a text, got a list\n"
		"t.yaml:1:87: tracing.headers.D: expected a text, got a text that is not ASCII\n"},
	{"tracing: {headers: {A: '${file:gone}', B: '${file:secret}\\n'}}\n",
		"t.yaml:1:24: tracing.headers.A: file \"gone\" cannot be read: No such file or "
		"directory\n"},
	{"tracing: {resource: {'': x, 'a b': y, c: \"\\t\", d: 1, d: 2}}\n",
		"t.yaml:1:22: tracing.resource.\"\": not a name of 1 to 255 bytes\n"
		"t.yaml:1:29: tracing.resource.\"a b\": not a name of printable ASCII without "
		"blanks\n"
		"t.yaml:1:42: tracing.resource.c: expected a text, got a text with a control "
		"character\n"
		"t.yaml:1:54: tracing.resource.d: given twice\n"},
	{"tracing: {resource: {service.name: x}}\n",
		"t.yaml:1:21: tracing.resource: service.name is set by tracing.service_name\n"},
	{"tracing: {batch: 0, interval: 50ms, queue: 1KiB, timeout: 2m, service_name: ''}\n",
		"t.yaml:1:18: tracing.batch: expected an integer from 1 to 10000 (like 512), got "
		"\"0\"\n"
		"t.yaml:1:31: tracing.interval: expected a duration from 100ms to 10m (like 5s), "
		"got \"50ms\"\n"
		"t.yaml:1:44: tracing.queue: expected a size from 64KiB to 1GiB (like 4MiB), got "
		"\"1KiB\"\n"
		"t.yaml:1:59: tracing.timeout: expected a duration from 100ms to 1m (like 10s), "
		"got \"2m\"\n"
		"t.yaml:1:77: tracing.service_name: expected a text of 1 to 255 bytes, got \"\"\n"},
	{"destinations: [{name: d, trace: yes, request: {url: 'http://h/'}}]\n",
		"t.yaml:1:33: destinations[0].trace: expected one of pass or none, got \"yes\"\n"},
};

static const struct fixture_bad_case bad_instances[] = {
	{"instance: {notices: ecs, protection: asg}\n",
		"t.yaml:1:21: instance.notices: expected one of none or ec2, got \"ecs\"\n"
		"t.yaml:1:38: instance.protection: expected one of none, ec2 or ecs, got "
		"\"asg\"\n"},
	{"instance: {notices: ec2, lifecycle_hook: a.b}\n",
		"t.yaml:1:42: instance.lifecycle_hook: expected a name of 1 to 255 letters, "
		"digits, "
		"_ / or -, got \"a.b\"\n"},
	{"instance: {notices: ec2, lifecycle_hook: ''}\n",
		"t.yaml:1:42: instance.lifecycle_hook: expected a name of 1 to 255 letters, "
		"digits, "
		"_ / or -, got \"\"\n"},
	{"instance: {lifecycle_hook: drain}\n",
		"t.yaml:1:28: instance.lifecycle_hook: instance.notices is none, so nobody learns "
		"when to complete it\n"},
	{"instance:\n  notices: none\n  lifecycle_hook: drain\n",
		"t.yaml:3:19: instance.lifecycle_hook: instance.notices is none, so nobody learns "
		"when to complete it\n"},
	{"instance: {autoscaling_group: a b}\n",
		"t.yaml:1:31: instance.autoscaling_group: expected a name of 1 to 255 printable "
		"ASCII characters, no blank or colon, got \"a b\"\n"},
	{"instance: {autoscaling_group: 'a:b'}\n",
		"t.yaml:1:31: instance.autoscaling_group: expected a name of 1 to 255 printable "
		"ASCII characters, no blank or colon, got \"a:b\"\n"},
	{"instance: {autoscaling_group: " NAME_255 "e}\n",
		"t.yaml:1:31: instance.autoscaling_group: expected a name of 1 to 255 printable "
		"ASCII characters, no blank or colon, got "
		"\"a23456789012345678901234567890123456789012345678901234567890...\"\n"},
	{"metrics: {emf: 9s, namespace: a b}\n",
		"t.yaml:1:16: metrics.emf: expected off or a duration from 10s to 1h, got \"9s\"\n"
		"t.yaml:1:31: metrics.namespace: expected a name of 1 to 255 letters, digits, _ . "
		"/ "
		"# : or -, the first no colon, got \"a b\"\n"},
	{"metrics: {emf: 61m, namespace: ':a'}\n",
		"t.yaml:1:16: metrics.emf: expected off or a duration from 10s to 1h, got "
		"\"61m\"\n"
		"t.yaml:1:32: metrics.namespace: expected a name of 1 to 255 letters, digits, _ . "
		"/ "
		"# : or -, the first no colon, got \":a\"\n"},
	{"metrics: {namespace: null}\n", "t.yaml:1:22: metrics.namespace: expected a name of 1 to "
					 "255 letters, digits, _ . / "
					 "# : or -, the first no colon, got nothing\n"},
};

/* What admin.listen is not. */
static const char *const bad_listens[] = {
	"9797",
	"localhost",
	"h:",
	"h:http",
	":9797",
	"h:65536",
	"/run/a.sock",
	"h/a:1",
	"unix:",
	"unix:/",
	"unix:/run/",
	"unix:run/a.sock",
	"unix:9797",
	"unix:" PATH_107 "8",
};

static const struct fixture_bad_case bad_destinations[] = {
	{"destinations: {name: x}\n",
		"t.yaml:1:15: destinations: expected a list of maps, got a map\n"},
	{"destinations: [5]\n",
		"t.yaml:1:16: destinations[0]: expected a map of options, got a text\n"},
	{"destinations:\n  - {}\n  -\n",
		"t.yaml:2:5: destinations[0].name: missing, but required\n"
		"t.yaml:2:5: destinations[0].request.url: missing, but required\n"
		"t.yaml:3:4: destinations[1].name: missing, but required\n"
		"t.yaml:3:4: destinations[1].request.url: missing, but required\n"},
	{"destinations: [{name: a, request: {url: 'http://h/'}}, {name: a, request: {url: "
	 "'http://h/'}}]\n",
		"t.yaml:1:63: destinations[1].name: destinations[0] is called \"a\" too\n"},
	{"destinations: [{name: a b, request: {url: 'http://h/'}}]\n",
		"t.yaml:1:23: destinations[0].name: expected a name of 1 to 64 letters, digits, _ "
		". "
		"or -, got \"a b\"\n"},
	{"destinations: [{name: '', request: {url: 'http://h/'}}]\n",
		"t.yaml:1:23: destinations[0].name: expected a name of 1 to 64 letters, digits, _ "
		". "
		"or -, got \"\"\n"},
	{DESTINATION(", method: post"), "t.yaml:1:62: destinations[0].request.method: expected one "
					"of POST, PUT, PATCH, GET "
					"or DELETE, got \"post\"\n"},
	{"destinations: [{name: d, concurrency: 0, request: {url: 'http://h/'}}]\n",
		"t.yaml:1:39: destinations[0].concurrency: expected an integer from 1 to 10000 "
		"(like "
		"500), got \"0\"\n"},
	{"destinations: [{name: d, http_version: 3, request: {url: 'http://h/'}}]\n",
		"t.yaml:1:40: destinations[0].http_version: expected one of auto, 1.1 or 2, got "
		"\"3\"\n"},
	{"destinations: [{name: d, accept: , request: {url: 'http://h/'}}]\n",
		"t.yaml:1:34: destinations[0].accept: expected a list of 1 to 64 status codes and "
		"ranges (like [200-299, 409]), got nothing\n"},
	{"destinations: [{name: d, accept: {200: 299}, request: {url: 'http://h/'}}]\n",
		"t.yaml:1:34: destinations[0].accept: expected a list of 1 to 64 status codes and "
		"ranges (like [200-299, 409]), got a map\n"},
	{"destinations: [{name: d, accept: 2xx, request: {url: 'http://h/'}}]\n",
		"t.yaml:1:34: destinations[0].accept: expected a status code or a range from 200 "
		"to 599 (like 200-299), got \"2xx\"\n"},
	{"destinations: [{name: d, accept: [], request: {url: 'http://h/'}}]\n",
		"t.yaml:1:34: destinations[0].accept: expected a list of 1 to 64 status codes and "
		"ranges (like [200-299, 409]), got an empty list\n"},
	{"destinations: [{name: d, accept: [299-200, 199, 200-600, 2x, '', 200-, -200, "
	 "00000000200], request: {url: 'http://h/'}}]\n",
		"t.yaml:1:35: destinations[0].accept[0]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"299-200\"\n"
		"t.yaml:1:44: destinations[0].accept[1]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"199\"\n"
		"t.yaml:1:49: destinations[0].accept[2]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"200-600\"\n"
		"t.yaml:1:58: destinations[0].accept[3]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"2x\"\n"
		"t.yaml:1:62: destinations[0].accept[4]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"\"\n"
		"t.yaml:1:66: destinations[0].accept[5]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"200-\"\n"
		"t.yaml:1:72: destinations[0].accept[6]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"-200\"\n"
		"t.yaml:1:78: destinations[0].accept[7]: expected a status code or a range from "
		"200 "
		"to 599 (like 200-299), got \"00000000200\"\n"},
};

static const struct fixture_bad_case bad_requests[] = {
	{"destinations: [{name: d, request: {url: 'ftp://h/'}}]\n",
		"t.yaml:1:41: destinations[0].request.url: not an http or https URL with a host "
		"(like "
		"https://api.example.com/send)\n"},
	{"destinations: [{name: d, request: {url: 'https://{{host}}/x'}}]\n",
		"t.yaml:1:41: destinations[0].request.url: no variable may stand in the scheme, "
		"host or port without request.allow_hosts\n"},
	{"destinations: [{name: d, request: {url: }}]\n",
		"t.yaml:1:41: destinations[0].request.url: expected an http or https URL, got "
		"nothing\n"},
	{"destinations: [{name: d, request: {url: 'http://h/{{x'}}]\n",
		"t.yaml:1:41: destinations[0].request.url: unclosed {{ at offset 9\n"},
	{DESTINATION(", headers: [a]"),
		"t.yaml:1:63: destinations[0].request.headers: expected a map of header names to "
		"values, got a list\n"},
	{DESTINATION(", headers: {'a b': c}"),
		"t.yaml:1:64: destinations[0].request.headers.\"a b\": not a header's name\n"},
	{DESTINATION(", headers: {'': c}"),
		"t.yaml:1:64: destinations[0].request.headers.\"\": not a header's name\n"},
	{DESTINATION(", headers: {\"a\\r\\nb\": c}"),
		"t.yaml:1:64: destinations[0].request.headers.\"a\\r\\nb\": not a header's name\n"},
	{DESTINATION(", headers: {content-length: 5}"),
		"t.yaml:1:64: destinations[0].request.headers.content-length: set by the HTTP "
		"client "
		"itself\n"},
	{DESTINATION(", headers: {Transfer-Encoding: a, Connection: b, Expect: c, Host: d}"),
		"t.yaml:1:64: destinations[0].request.headers.Transfer-Encoding: set by the HTTP "
		"client itself\n"
		"t.yaml:1:86: destinations[0].request.headers.Connection: set by the HTTP client "
		"itself\n"
		"t.yaml:1:101: destinations[0].request.headers.Expect: set by the HTTP client "
		"itself\n"},
	{DESTINATION(", headers: {A: 1, a: 2}"),
		"t.yaml:1:70: destinations[0].request.headers.a: given twice\n"},
	{DESTINATION(", headers: {A: }"),
		"t.yaml:1:67: destinations[0].request.headers.A: expected a header's value, got "
		"nothing\n"},
	{DESTINATION(", headers: {A: \"b\\nc\"}"),
		"t.yaml:1:67: destinations[0].request.headers.A: a line break, not allowed in a "
		"header, at offset 1\n"},
	{DESTINATION(", headers: {A: '{{}}'}"), "t.yaml:1:67: destinations[0].request.headers.A: "
						"empty variable name at offset 0\n"},
	{DESTINATION(", body: [a]"),
		"t.yaml:1:60: destinations[0].request.body: expected a text, got a list\n"},
	{DESTINATION(", body: '{\"a\":{{x}},}'"),
		"t.yaml:1:60: destinations[0].request.body: not JSON at offset 11, near \"}\"\n"},
	{DESTINATION(", body: 'a={{x}}', headers: {content-type: Application/JSON}"),
		"t.yaml:1:60: destinations[0].request.body: not JSON at offset 0, near "
		"\"a={{x}}\"\n"},
	{DESTINATION(", body: 'a={{x}}', headers: {content-type: 'application/a+json;q'}"),
		"t.yaml:1:60: destinations[0].request.body: not JSON at offset 0, near "
		"\"a={{x}}\"\n"},
};

static const struct fixture_bad_case bad_references[] = {
	{"log: {level: '${GONE}'}\n",
		"t.yaml:1:14: log.level: environment variable GONE is not set\n"},
	{"log: {level: '${HOST}'}\n",
		"t.yaml:1:14: log.level: expected one of debug, info, warn or error, got "
		"\"api.example.com\"\n"},
	{"log: {level: '${file:secret}'}\n",
		"t.yaml:1:14: log.level: expected one of debug, info, warn or error, got "
		"\"[hidden]\"\n"},
	{DESTINATION(", body: '{\"a\":${QUOTES}}'"),
		"t.yaml:1:60: destinations[0].request.body: not JSON at offset 8, the end\n"},
	{DESTINATION(", body: '{\"a\":${file:secret}}'"),
		"t.yaml:1:60: destinations[0].request.body: not a template, once its secret is "
		"filled "
		"in\n"},
	{DESTINATION(", headers: {A: '${file:gone}'}"),
		"t.yaml:1:67: destinations[0].request.headers.A: file \"gone\" cannot be read: No "
		"such "
		"file or directory\n"},
};

static void test_bad_input(void **state)
{
	size_t different = 0;

	(void)state;
	different += fixture_check_bad(bad_yaml, COUNT(bad_yaml));
	different += fixture_check_bad(bad_keys, COUNT(bad_keys));
	different += fixture_check_bad(bad_values, COUNT(bad_values));
	different += fixture_check_bad(bad_workers, COUNT(bad_workers));
	different += fixture_check_bad(bad_tracing, COUNT(bad_tracing));
	different += fixture_check_bad(bad_instances, COUNT(bad_instances));
	different += fixture_check_bad(bad_destinations, COUNT(bad_destinations));
	different += fixture_check_bad(bad_requests, COUNT(bad_requests));
	different += fixture_check_bad(bad_references, COUNT(bad_references));
	assert_int_equal(different, 0);
}

/*
 * An option's path as YAML that gives it a list of lists, and how messages call it: of "a[].b.c",
 * "{a: [{b: {c: [[]]}}]}" and "a[0].b.c".
 */
static void append_wrong(const char *path, struct buf *yaml, struct buf *shown)
{
	char closing[16] = "";

	for (;;) {
		size_t len = strcspn(path, ".[");
		bool is_list = path[len] == '[';
		const char *end = is_list ? "]}" : "}";

		buf_appendf(yaml, "{%.*s: %s", (int)len, path, is_list ? "[" : "");
		buf_appendf(shown, "%.*s%s", (int)len, path, is_list ? "[0]" : "");
		memmove(closing + strlen(end), closing, strlen(closing) + 1);
		memcpy(closing, end, strlen(end));
		path += len + (is_list ? 2 : 0);
		if (*path == '\0')
			break;
		path++;
		buf_append_char(shown, '.');
	}
	buf_appendf(yaml, "[[]]%s", closing);
}

/* Every option refuses every other kind of node, and a text that fits none; none is forgotten. */
static void test_every_option_refuses_lists(void **state)
{
	struct buf errors = BUF_INIT(1 << 16), yaml = BUF_INIT(1 << 16), path = BUF_INIT(256);

	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		struct config *config = NULL;

		buf_clear(&yaml);
		buf_clear(&path);
		append_wrong(options[i].path, &yaml, &path);
		assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
		print_message("%s -> %s", yaml.data, errors.data);
		assert_non_null(strstr(errors.data, path.data));
		assert_non_null(strstr(errors.data, "got a list"));
	}
	buf_free(&errors);
	buf_free(&yaml);
	buf_free(&path);
}

static void test_errors_are_bounded(void **state)
{
	struct buf errors = BUF_INIT(1 << 20), yaml = BUF_INIT(1 << 20);
	struct config *config = NULL;
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_appendf(&yaml, "key%d: 1\n", i);
	assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
	for (size_t i = 0; i < errors.len; i++)
		lines += errors.data[i] == '\n';
	assert_int_equal(lines, 101);
	assert_non_null(strstr(errors.data, "\nt.yaml: too many errors, stopped here\n"));
	buf_free(&errors);
	buf_free(&yaml);
}

/* What admin.token is not is not shown. */
static void test_token(void **state)
{
	static const char *const bad[] = {"0123456789abcde", "0123456789abcdef ",
		"0123456789abcd:f", "0123456789abcdef\xe5\x88\x86", ""};
	struct buf errors = BUF_INIT(1 << 16), yaml = BUF_INIT(1 << 16);
	struct config *config = NULL;
	char secret[] = "0123456789-._~+/=aZ";

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		buf_clear(&yaml);
		buf_appendf(&yaml, "admin: {token: '%s'}", bad[i]);
		assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
		assert_string_equal(buf_string(&errors),
			"t.yaml:1:16: admin.token: expected a name of 16 to 256 letters, digits, - "
			". _ ~ + / or =, got \"[hidden]\"\n");
	}
	assert_int_equal(
		fixture_load("admin: {token: '0123456789-._~+/=aZ'}", &config, &errors), 0);
	assert_string_equal(config->admin.token, secret);
	config_free(config);
	log_redact(secret);
	assert_string_equal(secret, "[redacted]");
	/* What config_print() wrote instead of one lets nobody in. */
	assert_int_equal(fixture_load("admin: {token: '[hidden]'}", &config, &errors), 0);
	assert_null(config->admin.token);
	config_free(config);
	assert_int_equal(fixture_load("admin: {token: null}", &config, &errors), 0);
	assert_null(config->admin.token);
	config_free(config);
	log_clear_secrets();
	buf_free(&errors);
	buf_free(&yaml);
}

static void test_listen(void **state)
{
	static const char *const good[] = {"127.0.0.1:0", "[::1]:9797", "localhost:65535",
		"unix:/a", "unix:/run/a b.sock", "unix:" PATH_107};
	struct buf errors = BUF_INIT(1 << 16), yaml = BUF_INIT(1 << 16), expected = BUF_INIT(1024);
	struct config *config = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		buf_clear(&yaml);
		buf_appendf(&yaml, "admin: {listen: '%s'}", good[i]);
		assert_int_equal(fixture_load(yaml.data, &config, &errors), 0);
		assert_string_equal(config->admin.listen, good[i]);
		config_free(config);
	}
	for (size_t i = 0; i < COUNT(bad_listens); i++) {
		buf_clear(&yaml);
		buf_clear(&expected);
		buf_appendf(&yaml, "admin: {listen: '%s'}", bad_listens[i]);
		buf_appendf(&expected,
			"t.yaml:1:17: admin.listen: expected an address and a port (like "
			"127.0.0.1:9797) or an absolute path of up to 107 bytes (like "
			"unix:/run/bunshin/admin.sock), got \"%.60s%s\"\n",
			bad_listens[i], strlen(bad_listens[i]) > 60 ? "..." : "");
		assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
		assert_string_equal(buf_string(&errors), buf_string(&expected));
	}
	buf_free(&errors);
	buf_free(&yaml);
	buf_free(&expected);
}

/* The longest names are taken. */
static void test_long_names(void **state)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	(void)state;
	assert_int_equal(fixture_load("instance: {notices: ec2, lifecycle_hook: " NAME_255
				      ", autoscaling_group: " NAME_255 "}\n"
				      "metrics: {namespace: " NAME_255 "}\n",
				 &config, &errors),
		0);
	assert_int_equal(strlen(NAME_255), 255);
	assert_string_equal(config->instance.lifecycle_hook, NAME_255);
	assert_string_equal(config->instance.autoscaling_group, NAME_255);
	assert_string_equal(config->metrics.namespace, NAME_255);
	config_free(config);
	buf_free(&errors);
}

/* `workers` on the command line is one number or a word, whatever form it has in the file. */
static void test_workers_override(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max;
	} good[] = {{"4", 4, 4}, {"1000", 1000, 1000}, {"auto", 0, 0}, {NULL, 2, 8}};
	static const char *const bad[] = {"0", "1001", "", "{min: 2, max: 8}", "2-8"};
	struct config_override override = {"workers", NULL, "--workers"};
	struct buf errors = BUF_INIT(1 << 16), expected = BUF_INIT(1024);
	struct config *config = NULL;

	(void)state;
	fixture_write("t.yaml", "workers: {min: 2, max: 8}", 25);
	for (size_t i = 0; i < COUNT(good); i++) {
		override.value = good[i].text;
		assert_int_equal(
			config_load("t.yaml", &fixture_environment, &override, 1, &config, &errors),
			0);
		assert_int_equal(config->workers.min, good[i].min);
		assert_int_equal(config->workers.max, good[i].max);
		config_free(config);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		override.value = bad[i];
		buf_clear(&errors);
		buf_clear(&expected);
		buf_appendf(&expected, "--workers: workers: " WORKERS_EXPECTED "\"%s\"\n", bad[i]);
		assert_int_equal(
			config_load("t.yaml", &fixture_environment, &override, 1, &config, &errors),
			ERR_CONFIG);
		assert_string_equal(buf_string(&errors), buf_string(&expected));
	}
	buf_free(&errors);
	buf_free(&expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_workers_override),
		cmocka_unit_test(test_every_option_refuses_lists),
		cmocka_unit_test(test_errors_are_bounded),
	};

	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
