// sqs-consumer as its documentation has it for throughput: batches of ten, sent side by side and
// deleted together; one consumer takes one batch at a time, so there are several in the process.
//
//	node sqs_consumer.mjs QUEUE_URL ENDPOINT SINK_URL IN_FLIGHT
import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";
import { makeSend } from "./send.mjs";

const [queueUrl, endpoint, sinkUrl, inFlight] = process.argv.slice(2);
const consumers = Math.ceil(Number(inFlight) / 10);
const sqs = new SQSClient({ endpoint, requestHandler: { httpAgent: { maxSockets: 2 * consumers } } });
const send = makeSend(sinkUrl, Number(inFlight));

async function handleMessageBatch(messages) {
  await Promise.all(messages.map((message) => send(message.Body, message.MessageId)));
  return messages;
}

for (let i = 0; i < consumers; i++) {
  const consumer = Consumer.create({ queueUrl, sqs, batchSize: 10, handleMessageBatch });
  for (const event of ["error", "processing_error", "timeout_error"]) {
    consumer.on(event, (error) => console.error(error.message));
  }
  consumer.start();
}
process.on("SIGTERM", () => process.exit(0));
