"""The status page of the admin port, in a browser.

What the page is told comes from a fake (fake_status.py); its files and their headers come from a
real process. One browser serves all tests of a run: it takes a second to start.
"""

import http.client
import json
import re
import time
import urllib.parse

import pytest

import fake_status
from browser import Browser
from fake_http import Answer, FakeServer
from fake_status import HOSTILE, TOKEN, StatusPart, sample
from harness import ADMIN, PATIENCE_S, Bunshin, wait_for

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
          "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
WATCH = """addEventListener("securitypolicyviolation",
    (event) => console.error("policy: " + event.violatedDirective + " " + event.blockedURI));"""


VERDICTS = {"load": ("On time", "ok"), "idle": ("Idle", "ok"), "late": ("Late", "degraded"),
            "failing": ("Held up", "failed"), "expired": ("Held up", "failed"),
            "paused": ("Paused", "paused"), "sparse": ("Starting", "neutral"),
            "many": ("On time", "ok"), "hostile": ("On time", "ok")}


class Real:
    """A queue, a provider and workers, whose admin port has the page and the token."""

    def __init__(self, binary, directory):
        self.program = Bunshin(binary, directory)
        self.sqs = self.program.queue().sqs()
        self.queue_url = self.sqs.create_queue("morning")
        config = self.program.config(self.queue_url, self.program.sink().url, log={"format": "json"},
                                     admin={**ADMIN, "token": TOKEN}, queue={"wait": "1s"})
        worker = self.program.start("run", "-c", config)
        worker.admin("/healthz")
        self.url = next(line["url"] for line in worker.log() if line["message"] == "admin port")
        self.files = fake_status.fetch_files(self.url)


@pytest.fixture(scope="module")
def real(binary, tmp_path_factory):
    real = Real(binary, tmp_path_factory.mktemp("page"))
    yield real
    problems = real.program.stop()
    assert not problems, problems


@pytest.fixture(scope="module")
def chromium(real, tmp_path_factory):
    directory = tmp_path_factory.mktemp("chromium")
    browser = Browser(directory, Bunshin("/bin/true", directory).environment)
    browser.command("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    yield browser
    browser.close()


@pytest.fixture
def part(real):
    return StatusPart(real.files)


@pytest.fixture
def server(part):
    with FakeServer(part) as server:
        yield server


@pytest.fixture
def page(chromium, server):
    """The page, open and up to date. Nothing in its console, nothing asked of others, in the end."""
    chromium.problems.clear()
    chromium.requests.clear()
    chromium.resize(1280, 900)
    show(chromium, server)
    yield chromium
    chromium.command("Page.navigate", url="about:blank")
    assert chromium.problems == []
    elsewhere = [url for url in chromium.requests
                 if not url.startswith((server.url + "/", "data:image/svg+xml", "about:blank"))]
    assert elsewhere == []


def show(browser, server):
    """Of a FakeServer, or of the Real one."""
    browser.open(server.url + "/")
    browser.wait("document.getElementById('live-words')?.textContent === 'live'")


def until(browser, script):
    """Waits like a reader who does not wait: coming back to the page is a reason to ask at once."""
    def holds():
        if browser.run(script):
            return True
        browser.run("void dispatchEvent(new Event('online'))")
        return False

    wait_for(holds, f"in the page: {script}")


def turn_to(browser, part, scenario):
    part.scenario = scenario
    word, kind = VERDICTS[scenario]
    until(browser, f"document.getElementById('verdict-word').textContent === '{word}' && "
                   f"document.getElementById('verdict').dataset.kind === '{kind}' && "
                   f"document.getElementById('workers').tBodies[0].rows.length === "
                   f"{ {'many': 20, 'sparse': 1}.get(scenario, 2)} && "
                   f"(document.getElementById('verdict-words').textContent.length > 400) === "
                   f"{'true' if scenario == 'hostile' else 'false'}")


def cells(browser, table):
    return browser.run(f"[...document.querySelectorAll('#{table} tbody tr:not(.sample)')].map("
                       "(row) => [...row.children].map((cell) => cell.textContent))")


def chart(name):
    return f"Chart.getChart(document.querySelector('#{name}-plot canvas'))"


# What is served


def test_files_and_headers(real):
    for path, answer in real.files.items():
        kind = "html" if path == "/" else "css" if path.endswith("css") else "javascript"
        assert answer.kind == f"text/{kind}; charset=utf-8"
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert not any(name.lower().startswith("access-control") for name in answer.headers)
        text = answer.body.decode()
        assert len(text) > 1000
        if not path.endswith("/chart.js"):
            for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
                              "eval(", "<script>", "style="):
                assert forbidden not in text, (path, forbidden)
    assert b"Released under the MIT License" in real.files["/page/chart.js"].body
    html = real.files["/"].body.decode()
    assert set(re.findall(r'(?:src|href)="(page/[^"]+)"', html)) == {
        "page/chart.js", "page/status.css", "page/status.js"}


def test_the_list_stays_for_programs(real):
    location = urllib.parse.urlsplit(real.url)
    connection = http.client.HTTPConnection(location.hostname, location.port, timeout=PATIENCE_S)
    for accept in (None, "*/*", "text/plain", "application/json"):
        connection.request("GET", "/", headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert b"/metrics" in answer.read()
        assert answer.headers["Content-Security-Policy"] == POLICY
    connection.request("POST", "/page/status.js")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    connection.close()


# In a browser


def test_what_it_shows_under_load(page):
    assert page.text("#verdict-word") == "On time"
    assert page.text("#verdict-words").startswith("Sending 1,980 messages/s")
    assert page.run("document.title") == "✓ On time – morning – Bunshin"
    assert "%23188038" in page.run("document.getElementById('icon').href")
    assert page.text("#fact-visible") == "495,000"
    assert page.text("#fact-empty-in") == "in 4 min 10 s"
    assert page.text("#fact-accepted") == "1,980/s"
    assert cells(page, "outcomes")[0] == ["accepted", "1,190,000", "99.923%", "1,980/s"]
    assert cells(page, "failures")[0][:4] == ["400refused by the provider", "failed", "line", "850"]
    (campaign,) = cells(page, "campaigns")
    assert campaign[0] == "morning-coupon" and "on time" in campaign[-1]
    assert campaign[1] == "70.6% · 1,190,912 of about 1.7M"
    line, sms = cells(page, "destinations")
    assert line[:4] == ["line", "closed", "200 of 400, configured 500", "2,000/s"]
    assert sms[3] == "no limit"
    assert [row[:5] for row in cells(page, "workers")] == [
        ["1", "running", "4201", "8.6 MiB", "120 of 250"],
        ["2", "running", "4202", "8.6 MiB", "120 of 250"]]
    assert "$0.096" in page.text("#sqs")
    assert page.text("#checks").count("ok") == 4


def test_a_change_is_seen_within_two_seconds(page, part):
    """It asks each second, and not more often, by the page's own clock."""
    span = page.run("""new Promise((done) => {
        const seen = [], real = window.fetch;
        window.fetch = (...all) => {
            if (String(all[0]).startsWith("status.json")) seen.push(performance.now());
            if (seen.length === 2) {
                window.fetch = real;
                done(seen[1] - seen[0]);
            }
            return real(...all);
        };
    })""")
    assert span >= 900
    part.change = lambda value: value["queue"].update(visible=7)
    # Not until(): by itself.
    page.wait("document.getElementById('fact-visible').textContent === '7'")


def data(page, name, index):
    return page.run(f"{chart(name)}.data.datasets[{index}].data.map("
                    "(p) => [p.x, Number.isNaN(p.y) ? null : p.y])")


def ink(page, name):
    """How many pixels of a chart have been drawn in the colour of its first line."""
    return page.run(f"""(() => {{
        const canvas = document.querySelector('#{name}-plot canvas');
        const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        const [r, g, b] = [0x15, 0x65, 0xc0];
        let drawn = 0;
        for (let i = 0; i < all.length; i += 4)
            drawn += Math.abs(all[i] - r) + Math.abs(all[i + 1] - g) + Math.abs(all[i + 2] - b) < 40
                && all[i + 3] > 200;
        return drawn;
    }})()""")


def test_charts_show_what_was_sent(page, part, server):
    rows = data(page, "throughput", 0)
    assert len(rows) >= fake_status.HISTORY_S - 5
    for row in rows[10:20]:
        assert row[1] == sample(row[0])[2]
    assert data(page, "latency", 1)[10][1] == sample(rows[10][0])[7]
    assert data(page, "backlog", 0)[10][1] == sample(rows[10][0])[14]
    for name in ("throughput", "latency", "backlog"):
        assert ink(page, name) > 200
    # Only what is new is asked for.
    newest = rows[-1][0]
    until(page, f"{chart('throughput')}.data.datasets[0].data.at(-1).x > {newest}")
    asked = [int(request.query.removeprefix("since="))
             for request in server.stats.seen("/history.json")]
    assert asked[0] == 0 and len(asked) > 1 and min(asked[1:]) >= newest - 5000
    # The other latency.
    page.run("document.querySelector('input[value=acceptance]').click()")
    assert data(page, "latency", 1)[10][1] == 900
    assert page.run("document.querySelectorAll('#latency-legend li').length") == 2
    # As text.
    page.click("#throughput-table summary")
    page.wait("document.querySelectorAll('#throughput-table tbody tr').length >= 15")
    assert "accepted" in page.text("#throughput-table thead")
    assert "accepted" in page.run("document.getElementById('throughput-plot').ariaLabel")
    # Unknown values are gaps, not zeros; the history of another process replaces this one's.
    now = int(time.time() * 1000) // 1000 * 1000
    part.rows = [[t] + [None] * 15 if now - 40000 < t < now - 20000 else sample(t, 100)
                 for t in range(now - 60000, now, 1000)]
    part.change = lambda value: value.update(started_ms=1)
    until(page, f"{chart('throughput')}.data.datasets[0].data.length === 60")
    values = [value for _, value in data(page, "throughput", 0)]
    assert values.count(None) == 19 and set(values) == {None, 100}
    part.rows = []
    part.change = None
    until(page, f"{chart('throughput')}.data.datasets[0].data.length === 0")
    assert page.text("#throughput-legend").count("–") == 3


def test_hostile_texts_are_text_and_many_are_bounded(page, part):
    turn_to(page, part, "hostile")
    assert page.text("#queue-name") == HOSTILE
    page.click("#failures button")
    page.wait("!document.querySelector('#failures .sample').hidden")
    assert page.text("#failures pre").startswith(HOSTILE)
    assert HOSTILE in page.text("#failures .sample dl")
    assert page.run("document.querySelectorAll('img, main script, header script').length") == 0
    assert page.run("document.title").startswith("✓ On time")
    # It stays open, and the focus where it is, while figures change.
    page.run("document.querySelector('#failures button').focus()")
    part.change = lambda value: value["failures"][0].update(count=4711)
    until(page, "document.getElementById('failures').textContent.includes('4,711')")
    assert page.run("document.activeElement.textContent") == "Sample"
    assert page.run("document.activeElement.ariaExpanded") == "true"
    part.change = None

    turn_to(page, part, "many")
    assert cells(page, "workers")[0][:2] == ["777", "dead"]
    assert "999 running" in page.text("#workers-count")
    page.click("#workers-next")
    page.wait("document.querySelector('#workers tbody th').textContent === '20'")
    assert page.text("#workers-range") == "21 to 40 of 1,000"
    assert len(cells(page, "campaigns")) == 8 and len(cells(page, "failures")) == 8
    for wanted in (50, 8):
        page.click("#campaigns-more")
        page.wait(f"document.querySelectorAll('#campaigns tbody tr').length === {wanted}")


# Pause and resume


def expect_refusals(page):
    """A refused request is an error in the console too; that one is expected."""
    page.problems[:] = [problem for problem in page.problems
                        if "the server responded with a status of 4" not in str(problem.get("text"))]


def open_dialog(page):
    page.click("#control-open")
    page.wait("document.getElementById('ask').open")


def test_pause_and_resume(page, part, server):
    open_dialog(page)
    assert page.text("#ask-title") == "Pause morning?"
    page.press("Escape", 27)
    page.wait("!document.getElementById('ask').open")
    assert part.posts == []
    # A wrong token is told, and asked for again.
    for wrong in ("wrong", "ゃ"):
        open_dialog(page)
        page.type("#ask-token", wrong)
        page.click("#ask-yes")
        page.wait("!document.getElementById('ask-error').hidden")
        assert page.text("#ask-error") == "The token is wrong."
        page.click("#ask-no")
        page.wait("!document.getElementById('ask').open")
    assert part.posts == [("/control/pause", "Bearer wrong")]
    # So is what the queue refuses, with the command to run instead.
    part.refuse_control = StatusPart.json({
        "error": "AccessDenied: not allowed to sqs:TagQueue <b>x</b>",
        "command": "bunshin campaign pause --queue-url Q"}, 409)
    open_dialog(page)
    page.type("#ask-token", TOKEN)
    page.press("Enter", 13)
    page.wait("!document.getElementById('ask-answer').hidden")
    assert "was not paused" in page.text("#ask-error")
    assert page.text("#ask-answer") == ("AccessDenied: not allowed to sqs:TagQueue <b>x</b>\n\n"
                                        "bunshin campaign pause --queue-url Q")
    part.refuse_control = None
    expect_refusals(page)
    page.click("#ask-yes")
    page.wait("!document.getElementById('ask').open")
    assert part.posts[-1] == ("/control/pause", f"Bearer {TOKEN}") and part.paused
    assert page.text("#control-note").startswith("Pause asked for at ")
    until(page, "document.getElementById('control-open').textContent === 'Resume…'")
    assert page.text("#control-note") == ""
    # The tab keeps the token, and only the tab.
    assert page.run("JSON.stringify([Object.values(sessionStorage), localStorage.length, "
                    "document.cookie])") == json.dumps([[TOKEN], 0, ""], separators=(",", ":"))
    assert TOKEN not in page.run("document.documentElement.outerHTML")
    show(page, server)
    open_dialog(page)
    assert page.run("document.getElementById('ask-token-field').hidden")
    page.click("#ask-yes")
    until(page, "document.getElementById('control-open').textContent === 'Pause…'")
    assert part.posts[-1] == ("/control/resume", f"Bearer {TOKEN}") and not part.paused

    # Without a token in the configuration: what to do.
    asked = len(part.posts)
    part.change = lambda value: value["control"].update(writable=False)
    until(page, "document.getElementById('control-open').textContent === 'Read-only'")
    open_dialog(page)
    assert "admin.token" in page.text("#ask-text")
    assert page.text("#ask-command").startswith("bunshin campaign pause --queue-url https://")
    assert page.run("document.getElementById('ask-token-field').hidden")
    page.click("#ask-yes")
    page.wait("!document.getElementById('ask').open")
    assert len(part.posts) == asked


# Contrast as WCAG 2.1 computes it, of every text that is shown against what lies behind it.
CONTRAST = """(() => {
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((value) => value / 255).map((value) =>
        value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = parse(getComputedStyle(element).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
        if (!own || !element.checkVisibility() || element.closest(".unseen, .skip, noscript, :disabled"))
            continue;
        const a = light(parse(getComputedStyle(element).color)), b = light(behind(element));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push([element.className, element.textContent.slice(0, 20), ratio]);
    }
    return poor;
})()"""



def test_each_scenario(page, part):
    """In both themes each text can be read, and at no width does anything stick out."""
    for dark in (False, True):
        page.resize(1280, 900, dark)
        assert page.run("getComputedStyle(document.body).backgroundColor") == (
            "rgb(14, 18, 22)" if dark else "rgb(244, 246, 248)")
        line = page.run("getComputedStyle(document.documentElement).getPropertyValue('--line-1')")
        page.wait(f"{chart('throughput')}.data.datasets[0].borderColor === {json.dumps(line.strip())}")
        for scenario in ("failing", "paused", "late", "sparse") if dark else VERDICTS:
            turn_to(page, part, scenario)
            # Never by colour alone.
            assert page.run("document.querySelectorAll('#verdict-symbol path').length") == 1
            assert page.run(CONTRAST) == [], scenario
            if dark or scenario not in ("load", "failing", "many", "hostile"):
                continue
            for width in (800, 360, 1280):
                page.resize(width, 800)
                assert page.run("document.documentElement.scrollWidth <= innerWidth"), (scenario, width)
        page.run("document.getElementById('control-open').click()")
        assert page.run(CONTRAST) == []
        page.run("document.getElementById('ask').close()")


# Reaching it


def test_by_keyboard_alone(page, part):
    def focused():
        return page.run("document.activeElement.id || document.activeElement.textContent")

    def tab():
        page.press("Tab", 9)
        return focused()

    assert tab() == "Skip to the verdict"
    page.press("Enter", 13)
    assert focused() == "verdict"
    assert tab() == "control-open"
    page.press("Enter", 13)
    page.wait("document.getElementById('ask').open")
    assert focused() == "ask-token"
    page.press("Escape", 27)
    page.wait("!document.getElementById('ask').open")
    assert focused() == "control-open"
    # What has the focus shows it.
    assert tab() == "throughput-plot"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("ArrowLeft", 37)
    page.press("ArrowLeft", 37)
    assert "accepted" in page.run("document.getElementById('throughput-spoken').textContent")
    page.press("Escape", 27)
    seen = [tab() for _ in range(14)]
    assert seen[0] == "As a table" and "latency-plot" in seen and "backlog-plot" in seen
    assert seen.count("Sample") == 2 and "status.json" in seen
    # Every control has a name, every table headings.
    assert page.run("""[...document.querySelectorAll('button, input')].filter((control) =>
        control.checkVisibility() && !control.textContent && !control.ariaLabel && !control.labels?.length
        ).length""") == 0
    assert page.run("[...document.querySelectorAll('table.cards')].every((table) => "
                    "table.tHead.rows[0].cells.length && !table.tBodies[0].querySelector("
                    "'tr:not(.sample) > :first-child:not(th[scope=row])'))")


def test_the_verdict_is_spoken_once(page, part):
    page.run("window.spoken = []; new MutationObserver(() => spoken.push("
             "document.getElementById('spoken').textContent)).observe("
             "document.getElementById('spoken'), {childList: true, characterData: true, subtree: true})")
    for words in ("one", "two"):
        part.change = lambda value: value["verdict"].update(words=words)
        until(page, f"document.getElementById('verdict-words').textContent.toLowerCase() === '{words}'")
    assert page.run("spoken") == []
    part.change = None
    turn_to(page, part, "failing")
    assert page.run("spoken") == ["Held up. Line: breaker open after 20 failures in a row"]
    # What the sentence says is not said again below it.
    assert page.run("document.getElementById('verdict-checks').textContent") == ""
    part.scenario = "expired"
    until(page, "document.getElementById('verdict-checks').textContent === "
                "'credentialsexpired at 07:58:12, and renewing them fails'")


def test_connection_lost_and_back(page, part, server):
    # An answer that is none counts as lost.
    fault = server.fail("/status.json", status=503)
    until(page, "!document.getElementById('lost').hidden")
    assert "HTTP status 503" in page.text("#lost")
    server.heal(fault)
    until(page, "document.getElementById('lost').hidden")
    server.stop()
    until(page, "!document.getElementById('lost').hidden")
    assert page.text("#lost").startswith("Connection lost since ")
    assert page.run("document.body.classList.contains('stale')")
    assert page.run("document.title") == "· Connection lost – morning – Bunshin"
    assert page.text("#fact-visible") == "495,000"
    # It goes on by itself.
    part.scenario = "late"
    with FakeServer(part, listen=("127.0.0.1", server.port)):
        page.wait("document.getElementById('lost').hidden && "
                  "document.getElementById('verdict-word').textContent === 'Late'")
        assert not page.run("document.body.classList.contains('stale')")
    page.problems[:] = [problem for problem in page.problems
                        if "Failed to load resource" not in str(problem.get("text"))]


# All of it


def test_with_the_real_port(real, page):
    """What is sent is seen, and pausing pauses."""
    show(page, real)
    real.sqs.send(real.queue_url, [f"message {number}" for number in range(40)], {"Campaign": "spring"})
    until(page, "document.querySelector('#outcomes td').textContent === '40'")
    until(page, "document.querySelector('#campaigns tbody th')?.textContent === 'spring'")
    until(page, f"{chart('throughput')}.data.datasets[0].data.reduce((sum, p) => sum + (p.y || 0), 0)"
                " === 40")
    open_dialog(page)
    page.type("#ask-token", TOKEN + "x")
    page.click("#ask-yes")
    page.wait("document.getElementById('ask-error').textContent === 'The token is wrong.'")
    expect_refusals(page)

    page.type("#ask-token", TOKEN)

    def paused():
        page.click("#ask-yes")
        # A second after a wrong token there is another try.
        page.wait("!document.getElementById('ask').open || "
                  "!document.getElementById('ask-error').hidden")
        return not page.run("document.getElementById('ask').open")

    wait_for(paused, "the pause")
    expect_refusals(page)
    until(page, "document.getElementById('verdict-word').textContent === 'Paused'")
    assert real.sqs.call("ListQueueTags", QueueUrl=real.queue_url)["Tags"] == {
        "bunshin:paused": "true"}
    open_dialog(page)
    page.click("#ask-yes")
    until(page, "document.getElementById('verdict-word').textContent !== 'Paused'")
    page.requests[:] = [url for url in page.requests if not url.startswith(real.url + "/")]
