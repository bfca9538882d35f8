"""`bunshin campaign report`: every row of the list has an outcome, as CSV, as JSON, as a page."""

import csv
import html.parser
import json
import os
import re
import uuid
from datetime import datetime, timezone

import pytest

from harness import base_environment
from test_campaign import queue, send  # noqa: F401

NAME = 'morning <&> "1" 朝'
START = 1_790_000_000_000  # of the results; a moment like any other
VOID = {"meta", "br", "img", "link", "hr", "input"}
OUTCOMES = ("accepted", "failed", "expired", "cancelled", "retrying", "waiting", "not_sent",
            "left_out")


def key_of(recipient, name=NAME):
    space = uuid.uuid5(uuid.NAMESPACE_URL, "bunshin:campaign:" + name)
    return str(uuid.uuid5(space, recipient))


def text_of(epoch_ms):
    moment = datetime.fromtimestamp(epoch_ms / 1000, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1000:03}Z"


def result(outcome, recipient, last=START, name=NAME, **members):
    value = {"v": 1, "outcome": outcome, "key": key_of(recipient, name), "campaign": name,
             "destination": "line", "message_id": "m", "attempts": 1, "first": START - 40,
             "last": last, **members}
    return json.dumps({key: member for key, member in value.items() if member}) + "\n"


def watch(bunshin, results, name=NAME):
    """The results, from a log of outcomes into results.db."""
    (bunshin.directory / "outcomes").mkdir(exist_ok=True)
    (bunshin.directory / "outcomes/outcomes-0.jsonl").write_text(results)
    process = bunshin.run("campaign", "watch", name, "--outcomes", "outcomes", "--once", "--json")
    assert process.exit == 0, process


def report(bunshin, *arguments, name=NAME, **options):
    return bunshin.run("campaign", "report", name, *arguments, **options)


def summary_of(process, code=0):
    assert process.exit == code, process
    value = json.loads(process.out)
    assert value["reconciles"] is True
    assert sum(value[outcome] for outcome in OUTCOMES) == value["rows"], value
    assert sum(value["left_out_by"].values()) == value["left_out"], value
    return value


def cells_of(path):
    """[{column: cell}] of a CSV whose every line has every column."""
    with open(path, encoding="utf-8", newline="") as file:
        [head, *rows] = csv.reader(file, strict=True)
    assert all(len(row) == len(head) for row in rows)
    return [dict(zip(head, row)) for row in rows]


class Page(html.parser.HTMLParser):
    """What a page consists of; every tag is closed, nothing is loaded, nothing runs."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.text, self.headings = [], [], [], "", []
        self.style = ""
        self.feed(text)
        self.close()
        assert self.open == [], self.open
        assert len(set(self.ids)) == len(self.ids)
        assert not re.search(r"url\(|@import|https?:", self.style)
        assert not {"script", "iframe", "object", "embed", "img", "link", "form", "base", "a",
                    "input", "audio", "video", "foreignobject", "use"} & set(self.tags)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("src", "href", "style", "action")
            if name == "id":
                self.ids.append(value)
            if name in ("aria-labelledby", "aria-describedby"):
                self.tags.append(f"#{value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert "svg" in self.open, tag
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data
        if self.open and self.open[-1] in ("h1", "h2") or self.open[-2:] == ["h1", "bdi"]:
            self.headings.append(data.strip())


# 40 rows: U1 to U33 as they should be, then what is left out.
GOOD = [f"U{number}" for number in range(1, 34)]


@pytest.fixture
def campaign(bunshin, queue, tmp_path):  # noqa: F811
    """A list with everything that can be wrong with one, sent by the real command."""
    path = tmp_path / "list.csv"
    path.write_text("to,n\n" + "".join(f'{to},"a ""b""\n{to}"\n' for to in GOOD) +
                    "U1,again\nx,malformed\nU98,gone\nU5,a,b\n,no key\nU2,again\nU99,gone\n")
    (tmp_path / "gone.txt").write_text("U98\nU99\n")
    process = send(bunshin, queue[1], path, "--name", NAME, "--key", "to", "--validate",
                   "to=U[0-9]+", "--suppress", tmp_path / "gone.txt", "--skip-invalid",
                   "--deadline", "2099-01-01T00:00:00Z", "--json")
    assert process.exit == 0, process
    return path


LEFT_OUT = ["duplicate", "malformed", "suppressed", "invalid", "invalid", "duplicate",
            "suppressed"]


def test_every_row_has_its_outcome(bunshin, campaign, tmp_path):
    expected = {}
    results = ""
    for number, to in enumerate(GOOD):
        outcome = ("accepted", "failed", "expired", "cancelled", "retrying", "waiting",
                   "suppressed")[number % 7]
        members = {"accepted": {"status": 200, "request_id": f"=r{number}"},
                   "failed": {"status": 400, "reason": "-refused, \"twice\"", "attempts": 3,
                              "unanswered": number % 2 == 1},
                   "expired": {"reason": "past its deadline"}}.get(outcome, {})
        expected[to] = ("accepted" if outcome == "suppressed" else outcome, members)
        if outcome != "waiting":
            results += result(outcome, to, START + 1000 * number, **members)
    watch(bunshin, results)

    value = summary_of(report(bunshin, "--csv", "out.csv", "--html", "out.html", "--json"), 1)
    assert [value[outcome] for outcome in OUTCOMES] == [9, 5, 5, 5, 5, 4, 0, 7]
    assert value["left_out_by"] == {"invalid": 2, "malformed": 1, "duplicate": 2, "suppressed": 2,
                                    "refused": 0}
    assert (value["rows"], value["uncertain"], value["unmatched"], value["open"]) == (40, 3, 0, 9)

    cells = cells_of(tmp_path / "out.csv")
    assert [int(row["row"]) for row in cells] == list(range(1, 41))
    for number, (row, to) in enumerate(zip(cells, GOOD)):
        outcome, members = expected[to]
        assert (row["recipient"], row["idempotency_key"]) == (to, key_of(to))
        assert int(row["line"]) == 2 + 2 * number
        assert row["outcome"] == outcome
        assert row["status"] == str(members.get("status", ""))
        if outcome == "waiting":
            assert (row["attempts"], row["first"], row["last"]) == ("", "", "")
        else:
            assert row["attempts"] == str(members.get("attempts", 1))
            assert row["first"] == text_of(START - 40)
            assert row["last"] == text_of(START + 1000 * number)
        # Words of others are no formula in a spreadsheet.
        assert row["request_id"] == ("'" + members["request_id"] if "request_id" in members
                                     else "")
        if outcome == "failed":
            assert row["reason"] == "'-refused, \"twice\""
        assert row["uncertain"] == ("yes" if members.get("unanswered") else "")
    assert [row["outcome"] for row in cells[33:]] == [f"left out: {why}" for why in LEFT_OUT]
    assert sorted(file.name for file in tmp_path.glob("*.tmp")) == []

    page = Page((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert page.headings == [NAME, "What became of every row", "When", "Why not", "Uncertain",
                             "What it was"]
    assert page.tags.count("svg") == 1 and {"#chart", "#curve"} <= set(page.tags)
    assert page.tags.count("table") == page.tags.count("caption") == page.tags.count("tbody")
    assert "9 of 33 messages were accepted by the provider" in page.text
    assert "The end of 9 is not known yet." in page.text
    assert '-refused, "twice"' in page.text and "delivered" not in page.text.lower()


def test_all_is_known(bunshin, campaign, tmp_path):
    watch(bunshin, "".join(result("accepted", to, START + 10, status=200) for to in GOOD))
    value = summary_of(report(bunshin, "--json", "--html", "out.html"))
    assert (value["accepted"], value["open"]) == (33, 0)
    assert value["first"] == value["p50"] == value["p95"] == value["last"] == text_of(START + 10)
    text = report(bunshin)
    assert (text.exit, text.err) == (0, "")
    assert re.search(r"^  accepted by the provider +33 +82\.5 %$", text.out, re.M)
    assert re.search(r"^  rows of the list +40$", text.out, re.M)
    Page((tmp_path / "out.html").read_text(encoding="utf-8"))


def test_a_selection_of_rows(bunshin, campaign):
    watch(bunshin, result("failed", "U2", status=500, reason="busy", unanswered=True) +
          result("failed", "U3", status=400, reason="no") +
          result("expired", "U4", reason="past its deadline"))
    for only, expected in (("failed", ["U2", "U3"]), ("failed,expired", ["U2", "U3", "U4"]),
                           ("uncertain", ["U2"]), ("uncertain,expired", ["U2", "U4"]),
                           ("cancelled", []), ("left-out", ["U1", "x", "U98", "", "", "U2", "U99"])):
        process = report(bunshin, "--csv", "-", "--only", only)
        assert process.exit == 1, process
        rows = list(csv.DictReader(process.out.splitlines(keepends=True), strict=True))
        assert [row["recipient"] for row in rows] == expected, only


def test_results_of_nobody(bunshin, campaign):
    watch(bunshin, result("accepted", "U1") + result("accepted", "nobody"))
    value = summary_of(report(bunshin, "--json"), 1)
    assert (value["accepted"], value["unmatched"]) == (1, 1)
    assert "belong to no row of the list: 1\n" in report(bunshin).out


def test_without_results(bunshin, campaign, tmp_path):
    process = report(bunshin, "--json", "--html", "out.html")
    assert "holds no results: `bunshin campaign watch` collects them" in process.err
    assert summary_of(process, 1)["waiting"] == 33
    assert "svg" not in Page((tmp_path / "out.html").read_text(encoding="utf-8")).tags


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "gone"])
def test_another_list_is_refused(bunshin, campaign, tmp_path, change):
    text = campaign.read_text()
    if change == "gone":
        campaign.unlink()
    else:
        campaign.write_text({"longer": text + "U200,x\n", "shorter": text[:-len("U99,gone\n")],
                             "other": text.replace("gone", "here")}[change])
    process = report(bunshin, "--csv", "out.csv", "--html", "out.html")
    assert (process.exit, process.out) == (2, ""), process
    assert "list.csv" in process.err
    assert not list(tmp_path.glob("out.*"))


def test_nothing_it_is_made_of_is_written_over(bunshin, campaign, tmp_path):
    watch(bunshin, result("accepted", "U1"))
    [journal] = tmp_path.glob("*.campaign")
    os.link(campaign, tmp_path / "linked.csv")
    for path in (campaign, tmp_path / "linked.csv", journal, tmp_path / "results.db"):
        before = path.read_bytes()
        for option in ("--csv", "--html"):
            process = report(bunshin, option, path)
            assert process.exit == 2 and "it is not written over" in process.err, process
        assert path.read_bytes() == before
    process = report(bunshin, "--csv", "same", "--html", "same")
    assert process.exit == 2 and "name the same file" in process.err


def test_what_is_no_file_is_written_to(bunshin, campaign, tmp_path):
    watch(bunshin, result("accepted", "U1"))
    os.mkfifo(tmp_path / "pipe")
    process = bunshin.start("campaign", "report", NAME, "--csv", "pipe", "--html", "/dev/null")
    lines = (tmp_path / "pipe").read_text().splitlines()
    assert process.wait() == 1 and len(lines) > 40
    assert (tmp_path / "pipe").is_fifo() and not (tmp_path / "pipe.tmp").exists()
    assert not os.path.isfile("/dev/null")
    process = report(bunshin, "--csv", "/nowhere/out.csv")
    assert process.exit == 1 and "cannot write /nowhere/out.csv" in process.err


@pytest.mark.parametrize("arguments, words", [
    ((), "NAME"),
    (("nothing",), "nothing.campaign"),
    ((NAME, "--only", "failed"), "--only is for --csv"),
    ((NAME, "--csv", "x", "--only", "delivered"), '"delivered": expected accepted'),
    ((NAME, "--csv", "-", "--json"), "only one of"),
    ((NAME, "--dir", "nowhere"), "nowhere"),
])
def test_wrong_usage(bunshin, campaign, arguments, words):
    process = bunshin.run("campaign", "report", *arguments)
    assert (process.exit, process.out) == (2, ""), process
    assert words in process.err


def test_a_large_list_in_little_memory(bunshin, queue, tmp_path):  # noqa: F811
    """300,000 rows: none is missing, and none is kept."""
    rows = 300_000
    path = tmp_path / "list.csv"
    path.write_text("to\n" + "".join(f"U{row}\n" for row in range(rows)))
    process = send(bunshin, queue[1], path, "--name", "large", "--key", "to", "--json")
    assert process.exit == 0, process
    watch(bunshin, "".join(
        result("accepted" if row % 100 else "failed", f"U{row}", START + row, "large",
               status=200 if row % 100 else 400) for row in range(rows)), "large")
    os.mkfifo(tmp_path / "pipe")
    options = base_environment(tmp_path)["ASAN_OPTIONS"] + ":quarantine_size_mb=8"
    process = bunshin.start("campaign", "report", "large", "--csv", "pipe", "--html", "out.html",
                            env={"ASAN_OPTIONS": options})
    peak = 0
    with open(tmp_path / "pipe", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, strict=True)):
            assert row["recipient"] == f"U{number}" and row["row"] == str(number + 1)
            assert row["outcome"] == ("accepted" if number % 100 else "failed")
            if number % 50_000 == 0:
                with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])
    assert number == rows - 1
    assert process.wait() == 0, process.describe()
    Page((tmp_path / "out.html").read_text(encoding="utf-8"))
    # A sanitizer shadows memory, and keeps some of what was freed.
    sanitized = b"__asan_init" in bunshin.binary.read_bytes()
    assert 1 << 10 < peak < (200 << 10 if sanitized else 48 << 10)


def test_the_dead_are_listed_so_that_the_next_list_is_clean(bunshin, campaign, tmp_path):
    """Only those that the provider does not know any more, in a file that --suppress takes."""
    dead = ["U3", "U10", "U31"]
    results = "".join(result("failed", to, status=404, reason="unregistered") for to in dead)
    results += result("failed", "U4", status=400, reason="refused by the provider")
    results += result("retrying", "U5", status=404, reason="unregistered")
    results += result("accepted", "U6", status=200)
    watch(bunshin, results)
    path = tmp_path / "dead.txt"
    process = report(bunshin, "--dead", path)
    assert process.exit == 1, process  # not all is known
    assert path.read_text() == "U3\nU10\nU31\n"
    assert f"3 recipients the provider does not know any more: {path}" in process.err
    process = report(bunshin, "--dead", "-")
    assert process.out == "U3\nU10\nU31\n"
    for arguments, words in ((("--dead", "-", "--json"), "only one of"),
                             (("--dead", "x", "--csv", "x"), "--dead and --csv name the same"),
                             (("--dead", "x", "--html", "x"), "--dead and --html name the same")):
        process = report(bunshin, *arguments)
        assert process.exit == 2 and words in process.err, process
    process = report(bunshin, "--dead", campaign)
    assert process.exit != 0 and "not written over" in process.err
