// squiss-ts as its documentation has it for throughput: so many messages in flight, no barrier
// between batches, deletes ten at a time.
//
//	node squiss.mjs QUEUE_URL ENDPOINT SINK_URL IN_FLIGHT
import { Squiss } from "squiss-ts";
import { makeSend } from "./send.mjs";

const [queueUrl, endpoint, sinkUrl, inFlight] = process.argv.slice(2);
const send = makeSend(sinkUrl, Number(inFlight));
const squiss = new Squiss({
  awsConfig: { endpoint, region: process.env.AWS_REGION },
  queueUrl,
  bodyFormat: "plain",
  maxInFlight: Number(inFlight),
  receiveBatchSize: 10,
  deleteBatchSize: 10,
});

squiss.on("message", (message) => {
  send(message.raw.Body, message.raw.MessageId).then(
    () => message.del(),
    (error) => {
      console.error(error.message);
      message.release();
    },
  );
});
squiss.on("error", (error) => console.error(error.message));
process.on("SIGTERM", () => process.exit(0));
await squiss.start();
