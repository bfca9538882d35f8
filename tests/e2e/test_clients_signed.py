"""`bunshin queue` with a key takes what clients that are not ours sign with it, and nothing else."""

import pytest

from clients import ANY_KEYS, Clients

KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@pytest.mark.parametrize("name", Clients.NAMES)
def test_signed_requests(bunshin, clients, name):
    access, secret = KEYS
    url = bunshin.queue("--memory", "--access-key", access, "--secret-key", secret).url
    client = clients.make(name, url, KEYS)
    queue = client.create("signed")
    body = "é <&> + %2B \r\n 😀 " * 20
    client.send(queue, body, MessageAttributes={
        "a-b_c.D": {"DataType": "String", "StringValue": body}})
    message = client.receive_one(queue)
    assert message["Body"] == body
    client.delete(queue, message)
    assert clients.make(name, url, (access, secret + "x")).refusal("ListQueues") == (
        403, "SignatureDoesNotMatch")
    assert clients.make(name, url, ANY_KEYS).refusal("ListQueues") == (403, "InvalidClientTokenId")
    assert client.call("ListQueues")["QueueUrls"] == [queue]
