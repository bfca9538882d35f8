"""The admin page of the embedded queue: what is served, who may ask, and the page in a browser."""

import json
import re

import pytest

from browser import Browser
from harness import ACCESS_KEY, SECRET_KEY, wait_for
from sqs_json import Client

ARN = "arn:aws:sqs:us-east-1:000000000000:"
PAGE_FILES = {
    "/": "text/html; charset=utf-8",
    "/_admin.js": "text/javascript; charset=utf-8",
    "/_admin.css": "text/css; charset=utf-8",
}


@pytest.fixture
def sqs(bunshin):
    client = Client(bunshin.queue().url)
    yield client
    client.close()


def own(sqs, operation, parameters, **headers):
    """An operation that SQS does not have; the Answer."""
    return sqs.post(json.dumps(parameters),
                    {"X-Amz-Target": f"BunshinQueue.{operation}", **headers})


# What is served


@pytest.mark.parametrize("path", PAGE_FILES)
def test_files_and_headers(sqs, path):
    answer = sqs.get(path)
    assert answer.status == 200
    assert answer.headers["content-type"] == PAGE_FILES[path]
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    assert b"\0" not in answer.body and len(answer.body) > 1000


def test_nothing_inline_and_nothing_from_elsewhere(sqs):
    html = sqs.get("/").body.decode()
    script = sqs.get("/_admin.js").body.decode()
    assert re.findall(r'(?:src|href)="([^"#]+)"', html)[1:] == ["_admin.css", "_admin.js"]
    assert "<script>" not in html and "style=" not in html
    assert not re.search(r"\son[a-z]+=", html)
    # What comes from messages is text.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_with_keys_the_page_is_off(bunshin):
    server = bunshin.queue("--memory", "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
    assert "only signed requests are taken, so the admin page is off" in wait_for(
        server.out, "the welcome")
    sqs = Client(server.url)
    page = sqs.get("/").body.decode()
    assert "takes only signed requests" in page and "<script" not in page
    for operation in ("Overview", "PeekMessages"):
        assert own(sqs, operation, {}).status == 403
    signed = Client(server.url, keys=(ACCESS_KEY, SECRET_KEY))
    headers = signed.headers("Overview", b"{}")
    assert signed.post(b"{}", headers).status == 400  # AmazonSQS.Overview is none
    assert sqs.get("/_health").status == 200


def test_overview_and_peek(sqs):
    url = sqs.create("morning")
    sqs.send(url, "a", MessageAttributes={"n": {"DataType": "Number", "StringValue": "7"}})
    for _ in range(3):
        overview = own(sqs, "Overview", {}).json
        (queue,) = overview["Queues"]
        assert queue["QueueUrl"] == url and queue["Visible"] == 1 and queue["InFlight"] == 0
        assert 0 <= overview["Time"] - queue["OldestSentTimestamp"] < 1_000_000
        (message,) = own(sqs, "PeekMessages", {"QueueUrl": url}).json["Messages"]
        assert message["Body"] == "a" and message["ReceiveCount"] == 0
        assert message["MessageAttributes"]["n"]["StringValue"] == "7"
    (received,) = sqs.receive(url)
    assert received["MessageId"] == message["MessageId"]
    assert received["Attributes"]["ApproximateReceiveCount"] == "1"


# Who may ask


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors",
     "Content-Type": "text/plain;charset=UTF-8"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_foreign_pages_are_refused(sqs, headers):
    url = sqs.create("morning")
    sqs.send(url, "kept")
    refused = [
        sqs.post(json.dumps({"QueueUrl": url}),
                 {"X-Amz-Target": "AmazonSQS.PurgeQueue", **headers}),
        own(sqs, "PeekMessages", {"QueueUrl": url}, **headers),
        # Forms, which a page may post anywhere without asking.
        sqs.post("Action=PurgeQueue", {"Content-Type": "application/x-www-form-urlencoded",
                                       **headers}, path="/000000000000/morning"),
        sqs.post("Action=PurgeQueue&QueueUrl=morning", headers),
    ]
    for answer in refused:
        assert answer.status == 403, answer
        assert b"another origin" in answer.body and b"AccessDenied" in answer.body
        assert "access-control-allow-origin" not in answer.headers
    assert sqs.counts(url) == (1, 0, 0)


def test_no_preflight_succeeds(sqs):
    sqs._connection.request("OPTIONS", "/", headers={
        "Origin": "http://evil.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-amz-target"})
    answer = sqs._answer()
    assert answer.status >= 400
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_own_page_and_programs_are_not(sqs):
    for headers in ({}, {"Origin": sqs.url, "Sec-Fetch-Site": "same-origin"},
                    {"Origin": sqs.url}, {"Sec-Fetch-Site": "none"},
                    {"Host": "localhost:1", "Origin": "http://localhost:1"},
                    {"Host": "whatever.example"}):
        assert own(sqs, "Overview", {}, **headers).status == 200, headers


def test_a_name_that_was_made_to_lead_here(bunshin):
    """DNS rebinding: origin and host agree, and are a stranger's."""
    server = bunshin.queue("--memory", "--page-host", "queue.example.com",
                           "--page-host", "other.example.com")
    sqs = Client(server.url)
    for name, status in (("evil.example", 403), ("evil.example:9324", 403),
                         ("queue.example.com", 200), ("other.example.com:80", 200),
                         ("x.queue.example.com", 403), ("queue", 200), ("q.internal", 200)):
        answer = own(sqs, "Overview", {}, Host=name, Origin=f"http://{name}")
        assert answer.status == status, name
        assert (b"--page-host" in answer.body) == (status == 403)


# In a browser


@pytest.fixture
def browser(bunshin, tmp_path):
    browser = Browser(tmp_path, bunshin.environment)
    yield browser
    browser.close()
    assert browser.problems == []


HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


def rows(browser):
    return browser.run("[...document.querySelectorAll('#list tbody tr')].map("
                       "(row) => [...row.children].map((cell) => cell.textContent))")


def test_the_page_at_work(bunshin, sqs, browser):
    """One way through all of it, by clicking and typing."""
    dead = sqs.create("morning-failures")
    url = sqs.create("morning", RedrivePolicy=json.dumps(
        {"deadLetterTargetArn": f"{ARN}morning-failures", "maxReceiveCount": 5}))
    for body in (HOSTILE, "x" * 9000):
        sqs.send(url, body)
    sqs.send(url, "later", DelaySeconds=900)
    sqs.send_all(dead, [f"failed {i}" for i in range(25)])

    # The list.
    browser.open(sqs.url + "/")
    browser.wait("document.querySelectorAll('#list tbody tr').length === 2")
    assert [row[:4] for row in rows(browser)] == [["morning", "2", "0", "1"],
                                                  ["morning-failures", "25", "0", "0"]]
    assert rows(browser)[0][5] == "morning-failures after 5 receives"
    browser.type("#search", "fail")
    browser.wait("document.querySelectorAll('#list tbody tr').length === 1")
    assert rows(browser)[0][0] == "morning-failures"
    browser.run("document.getElementById('search').value = ''")
    # By itself.
    sqs.send(url, "one more")
    browser.wait("document.querySelectorAll('#list tbody tr').length === 2 && "
                 "document.querySelector('#list td').textContent === '3'")

    # Peek.
    browser.click("a[href='#/morning']")
    browser.wait("document.querySelectorAll('#messages > li').length === 4")
    browser.click("#messages summary")
    assert browser.text("#messages pre") == HOSTILE
    assert browser.run("document.querySelector('#messages img, #messages script')") is None
    assert browser.run("document.title") == "morning – Bunshin queue"
    browser.click("#messages li:nth-child(2) summary")
    browser.click("#messages li:nth-child(2) button")
    browser.wait("document.querySelectorAll('#messages pre')[1].textContent.length === 9000")
    assert sqs.counts(url) == (3, 0, 1)

    # Settings.
    sqs.call("TagQueue", QueueUrl=url, Tags={"team": "growth"})
    browser.click("#settings summary")
    browser.wait("document.getElementById('settings-list').children.length > 0")
    assert "VisibilityTimeout\n30\n" in browser.text("#settings-list")
    assert "tag team\ngrowth" in browser.text("#settings-list")

    # Send.
    browser.click("#send summary")
    browser.type("#send textarea", "from the page ☀")
    browser.click("#add-attribute")
    browser.type("#attributes input", "Campaign")
    browser.type("#attributes input[name=attribute-value]", "spring")
    browser.type("#send input[name=delay]", "0")
    browser.click("#send-form > button")
    browser.wait("document.getElementById('sent').textContent.startsWith('Sent: ')")
    assert sqs.counts(url) == (4, 0, 1)
    bodies = {m["Body"]: m for m in own(sqs, "PeekMessages", {"QueueUrl": url}).json["Messages"]}
    assert bodies["from the page ☀"]["MessageAttributes"] == {
        "Campaign": {"DataType": "String", "StringValue": "spring"}}

    # Purge: not with Cancel, nor with Escape.
    browser.click("#purge")
    browser.wait("document.getElementById('ask').open")
    assert "All of its 5 messages" in browser.text("#ask")
    browser.click("#ask button[value=no]")
    browser.wait("!document.getElementById('ask').open")
    browser.click("#purge")
    browser.wait("document.getElementById('ask').open")
    browser.press("Escape", 27)
    browser.wait("!document.getElementById('ask').open")
    assert sqs.counts(url) == (4, 0, 1)
    browser.click("#purge")
    browser.wait("document.getElementById('ask').open")
    browser.click("#ask-yes")
    browser.wait("!document.getElementById('no-messages').hidden")
    assert sqs.counts(url) == (0, 0, 0)

    # Redrive: slowly, cancelled; then the rest.
    browser.click("#queue-links a")
    browser.wait("location.hash === '#/morning-failures' && "
                 "document.querySelectorAll('#messages > li').length === 20")
    browser.click("#peek-next")
    browser.wait("document.querySelectorAll('#messages > li').length === 5")
    browser.type("#redrive input[name=destination]", "morning")
    browser.type("#redrive input[name=rate]", "1")
    browser.click("#redrive-form button")
    browser.click("#moves button")
    browser.wait("document.querySelector('#moves li').textContent.startsWith('cancelled')")
    browser.run("document.querySelector('#redrive input[name=rate]').value = ''")
    browser.click("#redrive-form button")
    browser.wait("document.querySelector('#moves li').textContent.startsWith('completed')")
    wait_for(lambda: sqs.counts(url)[0] == 25, "the redriven messages")

    # A mistake is told, and goes away.
    browser.run("document.querySelector('#redrive input[name=destination]').value = 'nowhere'")
    browser.click("#redrive-form button")
    browser.wait("!document.getElementById('error').hidden")
    assert "doesn't exist" in browser.text("#error")
    # The refusal is an error in the console too; that one is expected.
    browser.problems[:] = [problem for problem in browser.problems
                           if "404" not in str(problem.get("text"))]
    browser.open(sqs.url + "/#/")
    browser.wait("document.getElementById('error').hidden")


def test_by_keyboard_alone(sqs, browser):
    sqs.create("a-queue")
    browser.open(sqs.url + "/")
    browser.wait("document.querySelectorAll('#list tbody tr').length === 1")
    browser.run("document.querySelector('#list a').focus()")
    # A refresh does not take the focus away.
    sqs.send(sqs.url + "/0/a-queue", "x")
    browser.wait("document.querySelector('#list td').textContent === '1'")
    assert browser.run("document.activeElement.textContent") == "a-queue"
    browser.press("Enter", 13)
    browser.wait("document.querySelectorAll('#messages > li').length === 1")
    browser.run("document.querySelector('#messages summary').focus()")
    browser.press("Enter", 13)
    browser.wait("document.querySelector('#messages details').open")


def test_on_a_phone_nothing_sticks_out(sqs, browser):
    url = sqs.create("a-queue-with-a-very-long-name-" + "x" * 50)
    sqs.send(url, "y" * 500)
    browser.resize(360, 640)
    for page, ready in (("/", "#list tbody tr"), (f"/#/{url.rpartition('/')[2]}", "#messages pre")):
        browser.open(sqs.url + page)
        browser.wait(f"document.querySelector('{ready}') !== null")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")


def test_thousands_of_queues_come_in_pages(sqs, browser):
    for i in range(120):
        sqs.create(f"queue-{i:03d}")
    browser.open(sqs.url + "/")
    browser.wait("document.querySelectorAll('#list tbody tr').length === 50")
    browser.click("#list-next")
    browser.wait("document.querySelector('#list th a').textContent === 'queue-050'")
    browser.click("#list-next")
    browser.wait("document.querySelectorAll('#list tbody tr').length === 20")
    assert browser.text("#list caption") == "101 to 120 of 120 queues"
    assert browser.run("document.getElementById('list-next').disabled")
    browser.click("#list-back")
    browser.wait("document.querySelector('#list th a').textContent === 'queue-050'")


def test_a_foreign_page_in_a_browser_changes_nothing(bunshin, sqs, browser):
    """The whole chain, with a real browser's headers: another port of the same machine."""
    url = sqs.create("morning")
    sqs.send(url, "kept")
    other = Client(bunshin.queue("--memory").url)
    browser.open(other.url + "/")
    for init in ('{method: "POST", mode: "no-cors", body: "Action=PurgeQueue"}',
                 '{method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, '
                 'body: JSON.stringify({QueueUrl: "/morning"})}'):
        # The page's own policy stops it already; a foreign page would have none.
        browser.command("Page.setBypassCSP", enabled=True)
        browser.open(other.url + "/?again")
        browser.run(f"fetch({json.dumps(url)}, {init}).then(() => 1, () => 0)")
    assert sqs.counts(url) == (1, 0, 0)
    browser.problems.clear()
