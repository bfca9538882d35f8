"""Destinations whose host a message chooses: request.allow_hosts and request.allow_addresses."""

import json
from pathlib import Path

import pytest

import dns_namespace
from harness import PATIENCE_S, refusing_socket, wait_for

PRESET = Path(__file__).resolve().parents[2] / "conf/destinations/customer-webhooks.yaml"
LOOPBACK = ["127.0.0.0/8", "::1"]


def run_until_empty(bunshin, urls, **request):
    """What is in the failure queue, as {url: reason}, once the worker has ended."""
    queue = bunshin.queue()
    sqs = queue.sqs()
    source, failures = sqs.create_queue("hooks"), sqs.create_queue("hooks-failed")
    sqs.send(source, [json.dumps({"url": url}) for url in urls])
    path = bunshin.config(source, "", request={"url": "{{{url}}}", **request},
                          queue={"failure_url": failures})
    done = bunshin.run("run", "-c", path, "--exit-when-empty")
    assert done.exit == 0, done
    copies = []
    while len(copies) < len(urls):
        received = sqs.receive(failures)
        if not received:
            break
        copies += received
    return {json.loads(copy["Body"])["url"]:
            copy["MessageAttributes"]["FailureReason"]["StringValue"] for copy in copies}


def test_only_the_hosts_of_the_list_are_sent_to(bunshin):
    sink, other = bunshin.sink(), bunshin.sink()
    good = [f"http://localhost:{sink.port}/a", f"HTTP://LocalHost:{sink.port}/b?c=d"]
    bad = [f"http://localhost:{other.port}/", f"http://127.0.0.1:{sink.port}/",
           f"http://2130706433:{sink.port}/", f"http://0x7f.1:{sink.port}/",
           f"http://[::1]:{sink.port}/", f"http://localhost.:{sink.port}/",
           f"http://localhost:{sink.port}@127.0.0.1:{other.port}/",
           f"http://x@localhost:{sink.port}/", f"https://localhost:{sink.port}/",
           f"http://localhost%2f:{sink.port}/", "http://localhost:0/", "file:///etc/passwd"]
    failed = run_until_empty(bunshin, good + bad, allow_hosts=[f"http://localhost:{sink.port}"],
                             allow_addresses=LOOPBACK)
    records = wait_for(lambda: len(sink.records()) >= len(good) and sink.records(), "the records")
    assert sorted(record["path"].split("?")[0] for record in records) == ["/a", "/b"]
    assert not other.records()
    assert sorted(failed) == sorted(bad)
    assert failed[bad[0]] == f"request.allow_hosts has no http://localhost:{other.port}"
    assert failed[bad[2]] == "the URL has an address for a host; only names are allowed"
    assert failed[bad[6]] == "the URL has a user before its host"


def test_a_listed_host_that_is_this_machine_is_refused(bunshin):
    sink = bunshin.sink()
    url = f"http://localhost:{sink.port}/"
    failed = run_until_empty(bunshin, [url], allow_hosts=f"http://localhost:{sink.port}")
    assert "is a loopback address, which request.allow_addresses does not have" in failed[url]
    assert not sink.records()


def test_no_proxy_of_the_environment_is_used(bunshin):
    """It would look the name up itself and go wherever that leads."""
    sink = bunshin.sink()
    path = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "", request={
        "url": "{{{url}}}", "allow_hosts": "http://hooks.localhost:9"})
    event = json.dumps({"url": "http://hooks.localhost:9/"})
    proxy = {name: sink.url for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                         "ALL_PROXY")}
    done = bunshin.run("invoke", "-c", path, "-", stdin=event, env=proxy)
    assert done.exit == 1 and "outcome: permanent" in done.out, done
    assert "is a loopback address" in done.out + done.err
    assert not sink.records()


def test_a_name_that_is_bound_anew(bunshin):
    """First it resolves to a public address, then to this machine, then to both."""
    path = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "", request={
        "url": "http://{{host}}:8080/hook", "allow_hosts": "http://*.example.com:8080"})
    event = bunshin.directory / "event.json"
    event.write_text(json.dumps({"host": "rebind.example.com"}))
    answers = [[dns_namespace.PUBLIC], [dns_namespace.LOOPBACK], ["169.254.169.254"],
               [dns_namespace.LOOPBACK, dns_namespace.PUBLIC]]
    done = dns_namespace.run(bunshin.binary, [["invoke", "-c", path, event]] * len(answers),
                             answers, bunshin.environment, PATIENCE_S)
    if done is None:
        pytest.skip("no network namespace can be made here")
    first, second, third, fourth = done["done"]
    assert first["exit"] == 0 and "outcome: accepted" in first["out"], first
    assert second["exit"] == 1 and "127.0.0.1 is a loopback address" in second["out"], second
    assert third["exit"] == 1 and "169.254.169.254 is a metadata service's" in third["out"], third
    assert fourth["exit"] == 0, fourth
    assert done["seen"] == [dns_namespace.PUBLIC] * 2


def test_a_host_that_is_not_there_is_tried_again(bunshin):
    """What no rule forbids is an ordinary failure to connect."""
    with refusing_socket() as listener:
        port = listener.getsockname()[1]
        path = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "", request={
            "url": "{{{url}}}", "allow_hosts": f"http://localhost:{port}",
            "allow_addresses": LOOPBACK})
        done = bunshin.run("invoke", "-c", path, "-",
                           stdin=json.dumps({"url": f"http://localhost:{port}/"}))
    assert "outcome: retry" in done.out, done


def test_a_host_without_a_list_is_refused_by_the_configuration(bunshin):
    path = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "",
                          request={"url": "{{{url}}}"})
    done = bunshin.run("check", "-c", path)
    assert done.exit == 2
    assert "no variable may stand in the scheme, host or port without request.allow_hosts" \
        in done.err


def test_the_file_for_customers(bunshin):
    sink = bunshin.sink()
    env = {"WEBHOOK_HOST": f"http://localhost:{sink.port}", "WEBHOOK_ADDRESSES": "127.0.0.0/8"}
    event = {"type": "order.paid", "data": {"id": 7, "text": "\u65e5\"}"}}
    message = json.dumps({"url": f"http://localhost:{sink.port}/in", "event": event})
    done = bunshin.run("invoke", "-c", PRESET, "-", stdin=message, env=env)
    assert done.exit == 0, done
    [record] = wait_for(sink.records, "the record")
    assert record["path"] == "/in" and json.loads(record["body"]) == event
    assert record["headers"]["Idempotency-Key"]
    done = bunshin.run("invoke", "-c", PRESET, "-", stdin=message,
                       env={**env, "WEBHOOK_HOST": "*.customers.example.com"})
    assert done.exit == 1 and f"allow_hosts has no http://localhost:{sink.port}" in done.out, done
