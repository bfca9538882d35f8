"""Two million recipients in packs of 500, some of whose ids LINE refuses, and what came of each."""
import json

from presets.course import HELD_MIN, OVER_MAX, Channel, Course, duration, most_in, rate_of
from presets.known import PRESETS, TEXT, line_id
from speed.report import Limits
from speed.rig import Endpoint, say

MULTICAST = "multicast"
PACK = 500
BAD = "dead0400"  # the sink refuses these


def is_bad(number):
    """Of a number that of_line_id() has made of an id."""
    return number >> 96 == int(BAD, 16)


def ids(recipients, bad):
    """So many, `bad` of them bad and evenly among the others."""
    places = {recipients * (2 * index + 1) // (2 * bad) for index in range(bad)}
    for number in range(recipients):
        yield f"U{BAD}{number:024x}" if number in places else line_id(number)


class Multicast(Course):
    """line-multicast.yaml, its queue filled by `campaign send --pack`."""

    def __init__(self, programs, options):
        super().__init__(programs, PRESETS["line-multicast"], options)
        self.name, self.failure_url = MULTICAST, ""

    def environment(self):
        return {"FAILURE_URL": self.failure_url}

    def _send(self, queue_url):
        rows, template = self.rig.directory / "rows.csv", self.rig.directory / "template"
        with rows.open("w") as out:
            out.write("to\n")
            out.writelines(f"{one}\n" for one in ids(self.options.recipients, self.options.bad))
        template.write_text(json.dumps({"to": "{{to}}", "text": TEXT}))
        with self.rig.start("send", self.programs.bunshin, "campaign", "send", "--queue-url",
                            queue_url, "--recipients", rows, "--template", template,
                            "--pack", str(PACK), "--json") as producer:
            producer.wait()

    def go(self):
        _, endpoint = self.rig.queue("memory")
        queue_url = endpoint.create("morning", VisibilityTimeout="60")
        self.failure_url = endpoint.create("failures")
        [(sink, record)] = self._sinks()
        self._send(queue_url)
        messages = endpoint.left(queue_url)
        say(f"multicast: {self.options.recipients:,} recipients in {messages:,} messages")
        worker = self._worker(queue_url, [sink.listening()])
        yield from self._run(worker)
        sink.stop()
        endpoint = Endpoint(endpoint.url)
        failed = self._failed(endpoint, endpoint.left(queue_url))
        self._judge_packs(Channel(record, self.preset), messages, failed)

    def _failed(self, endpoint, left):
        """The recipients that the failure queue has; nothing may be left in the other one."""
        if left:
            self.broken.append(f"left in the queue: {left} messages")
        found = []
        while True:
            answer = endpoint.call("ReceiveMessage", QueueUrl=self.failure_url,
                                   MaxNumberOfMessages=10, VisibilityTimeout=3600)
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                to = json.loads(message["Body"])["to"]
                found += to if isinstance(to, list) else [to]

    def _judge_packs(self, channel, messages, failed):
        limits, preset = Limits(), self.preset
        good = self.options.recipients - self.options.bad
        once = sum(1 for number, count in channel.accepted.items()
                   if count == 1 and not is_bad(number))
        most = most_in(channel.times, preset.window_ms)
        rate = rate_of(channel.times)
        limits.at_least("accepted exactly once", once, good, "{}")
        limits.at_most("bad ids accepted", sum(map(is_bad, channel.accepted)), 0, "{}")
        wanted = {one for one in ids(self.options.recipients, self.options.bad) if BAD in one}
        limits.at_most("in the failure queue but not bad, or not there",
                       len(set(failed) ^ wanted) + len(failed) - len(set(failed)), 0, "{}")
        limits.at_most("most in one s", most / preset.limit, OVER_MAX, "{:.3f} of the limit")
        limits.at_least("rate held", rate / preset.limit, HELD_MIN, "{:.3f} of the limit")
        self.broken += limits.broken
        refused = len(channel.times) - len(channel.accepted_times) - channel.throttled
        self.rows = [
            ["recipients", f"{self.options.recipients:,}"],
            ["messages of the queue", f"{messages:,}"],
            ["requests", f"{len(channel.times):,}"],
            ["refused for a bad id, and split", f"{refused:,}"],
            ["bad ids, alone in the failure queue", f"{len(failed):,}"],
            ["others accepted, each once", f"{once:,}"],
            ["answers 429", f"{channel.throttled:,}"],
            ["most requests in one second", f"{most:,}"],
            ["requests a second", f"{rate:,.0f} ({rate / preset.limit:.1%} of the limit)"],
            ["first request to last", duration((channel.times[-1] - channel.times[0]) / 1000)]]
