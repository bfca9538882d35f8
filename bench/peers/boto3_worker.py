#!/usr/bin/python3
"""
A worker on boto3 as people write it: threads that receive ten, send them through a pool of threads
on connections that stay open, and delete them together.

    boto3_worker.py QUEUE_URL ENDPOINT SINK_URL IN_FLIGHT
"""
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import boto3
import urllib3
from botocore.config import Config


def main():
    queue_url, endpoint, sink_url, in_flight = sys.argv[1:]
    in_flight = int(in_flight)
    pollers = (in_flight + 9) // 10
    sqs = boto3.client("sqs", endpoint_url=endpoint,
                       config=Config(max_pool_connections=2 * pollers))
    http = urllib3.PoolManager(maxsize=in_flight, retries=False)
    pool = ThreadPoolExecutor(max_workers=in_flight)

    def send(message):
        answer = http.request("POST", sink_url, body=message["Body"].encode(), headers={
            "Content-Type": "application/json",
            "Authorization": "Bearer 0123456789012345678901234567890123456789",
            "X-Line-Retry-Key": message["MessageId"]})
        return 200 <= answer.status <= 299

    def poll():
        while True:
            answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10,
                                         WaitTimeSeconds=20)
            messages = answer.get("Messages", [])
            accepted = [{"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                        for index, (message, ok) in enumerate(zip(messages, pool.map(send, messages)))
                        if ok]
            if accepted:
                sqs.delete_message_batch(QueueUrl=queue_url, Entries=accepted)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for _ in range(pollers):
        threading.Thread(target=poll, daemon=True).start()
    signal.sigwait({signal.SIGTERM})
    os._exit(0)


if __name__ == "__main__":
    main()
