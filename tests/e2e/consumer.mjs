// Drains a queue with sqs-consumer, as a program that uses it would, and says what it saw.
//
//	node consumer.mjs URL one|batch COUNT
//
// Each third message fails the first time it comes. `one` handles them one by one and throws; `batch`
// takes ten at a time, makes the failed ones visible again and leaves them out of what it acknowledges.
// Ends when COUNT messages have been handled. Prints {"handled": [bodies, in order], "failed": N, "receiveCounts": {...}}.

import { ChangeMessageVisibilityBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const [queueUrl, mode, count] = process.argv.slice(2);
const seen = new Map(); // MessageId: how often it came
const handled = [];
const receiveCounts = {};
let failed = 0;

function handle(message) {
  const times = (seen.get(message.MessageId) ?? 0) + 1;
  seen.set(message.MessageId, times);
  if (times === 1 && Number(message.Body.match(/\d+/)[0]) % 3 === 0) {
    failed += 1;
    return false;
  }
  handled.push(message.Body);
  const received = message.Attributes.ApproximateReceiveCount;
  receiveCounts[received] = (receiveCounts[received] ?? 0) + 1;
  return true;
}

const sqs = new SQSClient({
  endpoint: new URL(queueUrl).origin,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});

async function handleBatch(messages) {
  const good = messages.filter(handle);
  const Entries = messages.filter((message) => !good.includes(message)).map(
    ({ MessageId, ReceiptHandle }) => ({ Id: MessageId, ReceiptHandle, VisibilityTimeout: 0 }));
  if (Entries.length > 0) {
    await sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }));
  }
  return good;
}

const consumer = Consumer.create({
  queueUrl,
  sqs,
  batchSize: 10,
  waitTimeSeconds: 20,
  messageSystemAttributeNames: ["All"],
  messageAttributeNames: ["All"],
  ...(mode === "one" ? {
    terminateVisibilityTimeout: true,
    handleMessage: async (message) => {
      if (!handle(message)) {
        throw new Error("not yet");
      }
      return message;
    },
  } : { handleMessageBatch: handleBatch }),
});

consumer.on("error", (error) => {
  console.error(`consumer: ${error}`);
  process.exit(1);
});
consumer.on("processing_error", () => {}); // those that fail on purpose
consumer.on("response_processed", () => {
  if (handled.length >= Number(count)) {
    consumer.stop();
  }
});
consumer.on("stopped", () => {
  console.log(JSON.stringify({ handled, failed, receiveCounts }));
  process.exit(0);
});
consumer.start();
