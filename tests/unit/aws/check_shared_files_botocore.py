"""Compares what we read in shared files with what botocore reads.

usage: check_shared_files_botocore.py READ_SHARED_FILES [SEED [COUNT]]

Where we differ on purpose (shared_files.c says why), and what is done about it here:

- Inline comments end a value, as in the SDKs: cut off botocore's value as well. None where nothing
  is left of it then, since deeper lines below it would be nested ones.
- Blank lines inside of a value are skipped: taken out of botocore's.
- Sections and keys that come twice are merged; botocore refuses the file: not compared.
- [profile default] hides [default] of the config file; botocore takes the later: one of them only.
- Not in the files below: a byte order mark (skipped; an error in botocore), blanks beside a
  section's name in its brackets (trimmed), "[profilex y]" (the profile y to botocore),
  "[profile y] # [z]" (a comment; part of the name to botocore), a line "[key = value" (an error),
  a nested setting with an empty name (an error), NUL bytes (an error), blanks beyond ASCII
  (botocore trims them), variables in the files' paths (not expanded).

The words of a credential_process are compared with shlex.split's, which botocore uses.
"""

import configparser
import itertools
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile

import botocore.exceptions
import botocore.session

KEYS = ["region", "aws_access_key_id", "Role_Arn", "credential_process", "odd key", "é", "sqs"]
NESTED_KEYS = ["endpoint_url", "Other"]
PROFILES = ["default", "a", "b c", "d#e", "f]g", "é", "none", "A", "x y", "profile a"]
SERVICES = ["s", "t u", "none"]

# Pairs of a config and a credentials file.
FILES = [
    (b"", b""),
    (b"\n \n\t\n# only a comment", b"; the same\n"),
    (b"[default]\nregion = us-east-1\noutput=json\n", b"[default]\naws_access_key_id = AKID\n"),
    (b"[default]\r\nregion = r\r\n\r\n[profile a]\r\nregion=q\r\n", b"[a]\r\nregion = p\r\n"),
    (b"[default]\rregion = r\r", b""),
    (b"[profile a]\nregion : r\nrole_arn = arn:aws:iam::1:role/x=y\n", b""),
    (b"[profile 'b c']\nregion = r\n[profile d#e]\nregion = q\n[profile \"f]g\"]\nregion=p", b""),
    (b"[profile a] # comment\nregion = r\n", b"[b c] ; c\nregion = s\n"),
    (b"[a]\nregion = r\n[profile x y]\nregion = r\n[profile \"a]\nregion = r\n", b""),
    (b"[profile a]\nregion = r\n", b"[profile a]\nregion = s\n"),
    (b"[services s]\nsqs =\n  endpoint_url = http://h:1\n\n  # c\n  other = x # y\n"
     b"[default]\nservices = s\n", b""),
    (b"[services 't u']\nsqs=\n\tendpoint_url=http://h\nregion = r\n", b""),
    (b"[default]\nsqs =\nregion = r\n", b""),
    (b"[default]\nregion = a\n  b\n\n  c # d\n# e\n f\n", b""),
    (b"[default]\n  region = a\n  role_arn = b\n   c\n", b""),
    (b"  [default]\n region = a\n", b""),
    (b"[default]\nregion = a\n  [profile a]\n", b""),
    (b"[default]\nregion = r ; c\nrole_arn = r;c\n", b""),
    (b"[default]\nregion = r\n[default]\nregion = s\n", b""),
    (b"[profile default]\nregion = r\n", b""),
    ("[profile é]\né = ß\n".encode(), b""),
    (b"[profile a]\nodd key = odd value = x\n", b""),
    (b"[default] trailing\nregion = r\n", b""),
    # Refused by both.
    (b"[default\nregion = r\n", b""),
    (b"region = r\n", b""),
    (b"[]\nregion = r\n", b""),
    (b"[default]\nregion\n", b""),
    (b"[default]\n= r\n", b""),
    (b"[default]\n  indented\n", b""),
    (b"[default]\nregion = r\n[profile a]\n  indented\n", b""),
    (b"[default]\nsqs =\n  none\n", b""),
    (b"[default]\nregion = \xe9\n", b""),
    (b"[default]\n", b"[a]\nno\n"),
]


DUPLICATES = (configparser.DuplicateSectionError, configparser.DuplicateOptionError)


class Duplicate(Exception):
    pass


# ---- botocore


def full_config(config, credentials):
    """None: refused"""
    with tempfile.TemporaryDirectory() as directory:
        for variable, content in (
            ("AWS_CONFIG_FILE", config),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials),
        ):
            os.environ[variable] = os.path.join(directory, variable)
            with open(os.environ[variable], "wb") as file:
                file.write(content)
        try:
            return botocore.session.Session().full_config
        except botocore.exceptions.ConfigParseError as error:
            if isinstance(error.kwargs["error"], DUPLICATES):
                raise Duplicate from None
            return None


def without_comment(value):
    first, *more = value.split("\n")
    first = re.split(r"(?:^|(?<=[ \t]))[#;]", first)[0].strip()
    return "\n".join([first] + [line for line in more if line])


def scalar(values, key):
    value = values.get(key.lower(), "")
    return without_comment(value) if isinstance(value, str) else ""


def nested(full, services, group, key):
    for name, values in full.items():
        try:
            parts = shlex.split(name)
        except ValueError:
            continue
        if parts == ["services", services]:
            below = values.get(group, "")
            below = {k.lower(): v for k, v in below.items()} if isinstance(below, dict) else {}
            return below.get(key.lower(), "")
    return ""


def questions(config, credentials):
    """(question's fields, botocore's answer)"""
    full = full_config(config, credentials)
    files = [config, credentials]
    yield files, "0" if full is None else "1"
    if full is None:
        return
    profiles = full["profiles"]
    for profile in PROFILES:
        fields = files + [profile.encode()]
        yield fields, "1" if profile in profiles else "0"
        for key in KEYS:
            value = scalar(profiles.get(profile, {}), key)
            yield fields + [key.encode()], value.encode().hex() or "-"
    for services, key in itertools.product(SERVICES, NESTED_KEYS):
        value = nested(full, services, "sqs", key)
        fields = files + [services.encode(), b"sqs", key.encode()]
        yield fields, value.encode().hex() or "-"


# ---- generated files


def some_value(rng):
    words = ["us-east-1", "a", "=", ":", "x=y", "a#b", "c;d", "arn:aws:iam::1:role/R", "é", "[z]"]
    return " ".join(rng.choice(words) for _ in range(rng.randint(1, 4)))


def some_setting(rng, key, indent):
    """Lines of one setting, its continuation with it."""
    if key == "sqs" and rng.random() < 0.8:
        yield indent + "sqs =" + rng.choice(["", " ", "\t"])
        for nested_key in rng.sample(NESTED_KEYS, rng.randint(0, 2)):
            yield from some_filler(rng, 0.2)
            deeper = indent + rng.choice([" ", "\t", "    "])
            yield deeper + nested_key + rng.choice(["=", " = "]) + some_value(rng)
        return
    value = some_value(rng) if rng.random() < 0.9 else ""
    comment = rng.choice([" # c", "\t; c = d", "  #"]) if value and rng.random() < 0.2 else ""
    yield indent + key + rng.choice(["=", " = ", "\t=  ", ":", " : "]) + value + comment
    while value and rng.random() < 0.2:
        yield from some_filler(rng, 0.2)
        yield indent + rng.choice([" ", "\t", "   "]) + some_value(rng)


def some_filler(rng, chance):
    if rng.random() < chance:
        yield rng.choice(["", "  ", "# comment", "  ; indented = comment", "#"])


def some_file(rng, sections):
    lines = []
    for section in rng.sample(sections, rng.randint(0, len(sections))):
        lines += some_filler(rng, 0.3)
        lines.append(f"[{section}]" + rng.choice(["", "", " # c", ";c", " [x]", "\t"]))
        indent = rng.choice(["", "", "", "  "])
        for key in rng.sample(KEYS, rng.randint(0, 4)):
            lines += some_filler(rng, 0.2)
            lines += some_setting(rng, key, indent)
    if rng.random() < 0.1:
        lines.insert(rng.randint(0, len(lines)), rng.choice(["odd", " odd", "= odd", "[odd"]))
    end = rng.choice(["\n", "\n", "\r\n", "\r"])
    return (end.join(lines) + rng.choice(["", end])).encode()


def some_files(rng):
    default = rng.choice(["default", "profile default"])
    config = [default, "profile a", "profile 'b c'", "profile d#e", 'profile "f\\"]g"', "profile é",
              "services s", 'services "t u"', "sso-session a", "preview", "profile x y",
              'profile "open', "plain"]
    credentials = ["default", "a", "b c", "é", "profile a"]
    return some_file(rng, config), some_file(rng, credentials)


def some_words(rng):
    """(question's fields, Python's answer)"""
    command = "".join(rng.choice("aé '\"\\\t\n$#") for _ in range(rng.randint(0, 12)))
    try:
        words = shlex.split(command)
    except ValueError:
        return [command.encode()], "refused"
    return [command.encode()], "".join((word.encode().hex() or "-") + " " for word in words)


# ---- the comparison


def as_line(fields):
    return " ".join(field.hex() or "-" for field in fields) + "\n"


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261123
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 400
    rng = random.Random(seed)
    os.environ.pop("AWS_PROFILE", None)
    asked, duplicates, refused = [], 0, 0
    for files in itertools.chain(FILES, (some_files(rng) for _ in range(count))):
        try:
            asked += questions(*files)
        except Duplicate:
            duplicates += 1
        refused += asked[-1][1] == "0" and len(asked[-1][0]) == 2
    asked += (some_words(rng) for _ in range(20 * count))
    answers = subprocess.run(
        [sys.argv[1]],
        input="".join(as_line(fields) for fields, _ in asked),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if len(answers) != len(asked):
        sys.exit(f"{len(asked)} questions, {len(answers)} answers")
    for (fields, theirs), ours in zip(asked, answers):
        if ours != theirs:
            sys.exit(f"seed {seed}: {fields}\nours:   {ours}\ntheirs: {theirs}")
    # That most of it is compared, and that both answers come.
    if duplicates > (count + len(FILES)) / 2 or refused < 5:
        sys.exit(f"nothing to compare: {duplicates} with duplicates, {refused} refused")
    print(f"{len(asked)} answers equal, {duplicates} files with duplicates, {refused} refused")


if __name__ == "__main__":
    main()
