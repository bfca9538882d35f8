"""Debian's awscli for clients.py: one process, one command a line of JSON, any number at a time.

    stdin   {"id", "argv": ["sqs", "send-message", ...], "env": {...}}
    stdout  {"id", "exit", "out", "err"}

Each command runs in a fork of this process, which has awscli and its model of SQS loaded: of the
0.6 s of CPU that `aws` takes, most goes into that. Ends with its standard input.
"""

import fcntl
import json
import os
import signal
import sys
import tempfile
import traceback

import awscli.clidriver


def run(driver, argv):
    """The exit status of `aws ARGV`; its output is on descriptors 1 and 2."""
    try:
        status = driver.main(argv)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in sys.stdout, sys.stderr:
        stream.flush()
    return status


def serve(driver, request, answers):
    """In the fork."""
    os.environ.update(request["env"])
    with open(os.devnull, "rb") as nothing, tempfile.TemporaryFile() as out, \
            tempfile.TemporaryFile() as err:
        os.dup2(nothing.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        answer = {"id": request["id"], "exit": run(driver, request["argv"])}
        for name, file in ("out", out), ("err", err):
            file.seek(0)
            answer[name] = file.read().decode(errors="replace")
    # Others write to the same pipe, and a long line is not written at once.
    with open(__file__, "rb") as lock, os.fdopen(answers, "w", encoding="utf-8") as pipe:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pipe.write(json.dumps(answer) + "\n")
        pipe.flush()


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    answers = os.dup(1)
    driver = awscli.clidriver.create_clidriver()
    driver.session.get_service_model("sqs")
    driver.session.get_component("endpoint_resolver")
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                serve(driver, json.loads(line), answers)
            finally:
                os._exit(0)


if __name__ == "__main__":
    main()
