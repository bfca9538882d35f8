#!/usr/bin/python3
"""Includes point downward only: the layers of docs/architecture.md, and what each may see.

usage: check_layers.py SOURCE_ROOT | --self-test

Reads every #include under src/ and include/. The link enforces the same (one static library a
layer), but an inline function, a struct or a macro needs no link.
"""
import os
import re
import sys
import tempfile

# What a layer may include besides itself, libc and include/bunshin: other layers, and the
# libraries by their headers' first path component or name.
LAYERS = {
    "base": ([], ["uv.h"]),
    "tracing": (["base"], []),
    "signing": (["base"], ["openssl"]),
    "config": (["signing", "base"], ["yaml.h"]),
    "http": (["config", "tracing", "base"], ["uv.h", "curl", "microhttpd.h", "openssl", "nghttp2"]),
    "aws": (["http", "base"], ["uv.h", "openssl", "cjson", "expat.h"]),
    "delivery": (["base"], []),
    "localq": (["http", "base"], ["uv.h", "openssl", "cjson", "sqlite3.h"]),
    "admin": (["http", "base"], ["uv.h"]),
    "supervisor": (["base"], []),
    "results": (["base"], []),
    "campaign": (
        ["results", "aws", "config", "base"],
        ["uv.h", "openssl", "cjson", "sqlite3.h", "zlib.h"],
    ),
    "cli": (
        ["campaign", "results", "admin", "supervisor", "localq", "delivery", "aws", "http", "tracing", "config", "signing", "base"],
        ["uv.h", "curl", "microhttpd.h", "cjson", "openssl", "sqlite3.h", "systemd", "yaml.h", "curses.h",
         "term.h"],
    ),
}

# These must not even be reached through another layer's header: delivery runs in virtual time.
UNREACHABLE = {"delivery": ["uv.h", "curl", "microhttpd.h", "openssl", "nghttp2", "sqlite3.h", "yaml.h"]}

# The embedded queue checks and writes text without the code that the client does it with: a mistake in
# one must not be able to hide the same mistake in the other. Both read JSON with base/json.h, which
# other people's clients, in other languages, put to the test (tests/e2e/test_clients_*.py).
APART = {"localq": ["base/utf8.h"]}

LIBC = set(
    """
    assert.h complex.h ctype.h dirent.h dlfcn.h endian.h errno.h fcntl.h fenv.h float.h fnmatch.h
    ftw.h getopt.h glob.h grp.h iconv.h inttypes.h langinfo.h libgen.h limits.h locale.h malloc.h
    math.h netdb.h poll.h pthread.h pwd.h regex.h sched.h search.h semaphore.h setjmp.h signal.h
    spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h
    stdnoreturn.h string.h strings.h syslog.h termios.h threads.h time.h uchar.h unistd.h wchar.h
    wctype.h emmintrin.h arm_neon.h
    """.split()
)
LIBC_DIRECTORIES = {"sys", "arpa", "net", "netinet", "linux"}

INCLUDE = re.compile(r'^\s*#\s*include\b\s*(?:"([^"]+)"|<([^>]+)>)?')


def is_libc(name):
    return name in LIBC or ("/" in name and name.split("/")[0] in LIBC_DIRECTORIES)


def library_of(name):
    return name.split("/")[0]


def read_includes(path):
    """(line number, project header or None, system header or None) of every #include."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1), match.group(2)


def find_sources(root):
    """{path from the root: the layer, or "bunshin" for the contracts}"""
    sources = {}
    for top in ("src", "include"):
        for directory, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.relpath(os.path.join(directory, name), root)
                sources[path] = path.split(os.sep)[1]
    return sources


def check_project_include(sources, path, target):
    """The complaint about one #include "target", or None."""
    layer, other = sources[path], target.split("/")[0]
    top = "include" if other == "bunshin" else "src"
    if os.path.join(top, target) not in sources:
        return f'"{target}" is no header of the project, named from src/ or include/'
    if other in ("bunshin", layer):
        return None
    if layer == "bunshin":
        return f'the contracts include nothing but themselves and libc, not "{target}"'
    if target in APART.get(layer, []):
        return f'layer {layer} shares no codec: not "{target}"'
    if other not in LAYERS[layer][0]:
        return f'layer {layer} may not include layer {other} ("{target}")'
    return None


def check_system_include(sources, path, target):
    layer = sources[path]
    allowed = LAYERS[layer][1] if layer in LAYERS else []
    if is_libc(target) or library_of(target) in allowed:
        return None
    return f"layer {layer} may not include <{target}>"


def find_reach(root, sources, path, seen):
    """Every (header, system include) that path reaches through the project's headers."""
    for _, project, system in read_includes(os.path.join(root, path)):
        if system:
            yield path, system
        if not project:
            continue
        for top in ("src", "include"):
            header = os.path.join(top, project)
            if header in sources and header not in seen:
                seen.add(header)
                yield from find_reach(root, sources, header, seen)


def check(root):
    """Every complaint, as file:line: text."""
    sources = find_sources(root)
    complaints = []
    for path in sorted(sources):
        layer = sources[path]
        if layer not in LAYERS and layer != "bunshin":
            complaints.append(f"{path}:1: {layer} is no known layer; give it a row in {__file__}")
            continue
        for number, project, system in read_includes(os.path.join(root, path)):
            if project:
                complaint = check_project_include(sources, path, project)
            elif system:
                complaint = check_system_include(sources, path, system)
            else:
                complaint = "this check cannot read an #include of a macro"
            if complaint:
                complaints.append(f"{path}:{number}: {complaint}")
        for header, system in find_reach(root, sources, path, {path}):
            if header != path and library_of(system) in UNREACHABLE.get(layer, []):
                complaints.append(f"{path}:1: reaches <{system}> through {header}")
    if not sources:
        complaints.append(f"{root}:1: no source found")
    return complaints


# Each: the files of a small tree, and where the complaint must be; None: there must be none.
CLEAN = {
    "include/bunshin/queue.h": '#include "bunshin/error.h"\n#include <stddef.h>\n',
    "include/bunshin/error.h": "",
    "src/base/log.h": '#include "bunshin/error.h"\n#include <sys/types.h>\n',
    "src/base/loop.h": "#include <uv.h>\n",
    "src/config/config.h": '#include "base/log.h"\n#include <yaml.h>\n',
    "src/http/client.h": '#include "base/loop.h"\n#include <curl/curl.h>\n',
    "src/aws/sqs.h": '#include "http/client.h"\n#include <openssl/hmac.h>\n',
    "src/delivery/core.c": '#include "base/log.h"\n#include "bunshin/queue.h"\n',
    "src/localq/store.c": '#include "http/client.h"\n#include <sqlite3.h>\n',
    "src/campaign/send.h": '#include "aws/sqs.h"\n#include "config/config.h"\n',
    "src/cli/run.c": '#include "campaign/send.h"\n#include "aws/sqs.h"\n',
}
PLANTED = [
    ("src/base/log.c", '\n#include "config/config.h"\n', 2),
    ("src/base/log.c", "#include <openssl/evp.h>\n", 1),
    ("src/base/log.c", "#include <curl/curl.h>\n", 1),
    ("src/base/log.c", "#include <yaml.h>\n", 1),
    ("src/config/x.c", '#include "http/client.h"\n', 1),
    ("src/config/x.c", "#include <uv.h>\n", 1),
    ("src/http/x.c", '#include "aws/sqs.h"\n', 1),
    ("src/aws/x.c", '#include "config/config.h"\n', 1),
    ("src/aws/x.c", '#include "delivery/core.h"\n', 1),
    ("src/aws/x.c", '#include "localq/store.h"\n', 1),
    ("src/localq/x.c", '\n\n#  include  "aws/sqs.h"\n', 3),
    ("src/localq/x.c", '#include "base/utf8.h"\n', 1),
    ("src/delivery/x.c", '#include "aws/sqs.h"\n', 1),
    ("src/delivery/x.c", '#include "http/client.h"\n', 1),
    ("src/delivery/x.c", '#include "config/config.h"\n', 1),
    ("src/delivery/x.c", "#include <uv.h>\n", 1),
    ("src/delivery/x.c", "\t#include <curl/curl.h>\n", 1),
    ("src/delivery/x.c", "\n" '#include "base/loop.h"\n', 1),
    ("src/campaign/x.c", '#include "cli/run/run.h"\n', 1),
    ("src/campaign/x.c", '#include "delivery/core.h"\n', 1),
    ("src/cli/x.c", "#include <ncurses.h>\n", 1),
    ("src/cli/x.c", '#include "missing/x.h"\n', 1),
    ("src/base/x.c", '#include "log.h"\n', 1),
    ("src/base/x.c", "#include HEADER\n", 1),
    ("src/stray/x.c", "", 1),
    ("include/bunshin/clock.h", '#include "base/log.h"\n', 1),
    ("include/bunshin/clock.h", "#include <stdint.h>\n#include <uv.h>\n", 2),
]


def plant(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


def self_test():
    failures = 0
    with tempfile.TemporaryDirectory() as root:
        if check(root) == []:
            print("an empty tree passes")
            failures += 1
    headers = {"src/base/json.h": "", "src/base/utf8.h": "", "src/delivery/core.h": "", "src/localq/store.h": "", "src/cli/run.h": ""}
    for path, text, line in [("src/base/none.c", "", None)] + PLANTED:
        with tempfile.TemporaryDirectory() as root:
            plant(root, {**CLEAN, **headers, path: text})
            found = sorted({complaint.split(" ")[0] for complaint in check(root)})
            wanted = [f"{path}:{line}:"] if line else []
            if found != wanted:
                print(f"{path} with {text!r}: found {found}, not {wanted}")
                failures += 1
    print(f"{len(PLANTED)} violations planted, {failures} mistakes")
    return failures


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        sys.exit(1 if self_test() else 0)
    complaints = check(sys.argv[1])
    for complaint in complaints:
        print(complaint)
    print(f"{len(find_sources(sys.argv[1]))} files read, {len(complaints)} forbidden includes")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
