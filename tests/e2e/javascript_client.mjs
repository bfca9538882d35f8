// @aws-sdk/client-sqs for clients.py: one process, one request a line of JSON, any number at a time.
//
//	stdin   {"id", "endpoint", "keys": [id, secret], "operation": "SendMessage", "input": {...}}
//	stdout  {"id", "output": {...}}, or {"id", "error": {"status", "type", "code", "message"}}
//
// Binary values are base64 on both. Ends with its standard input.

import { createInterface } from "node:readline";
import * as sdk from "@aws-sdk/client-sqs";

const clients = new Map();

function clientOf({ endpoint, keys }) {
  const name = JSON.stringify([endpoint, keys]);
  if (!clients.has(name)) {
    const [accessKeyId, secretAccessKey] = keys;
    const credentials = { accessKeyId, secretAccessKey };
    clients.set(name, new sdk.SQSClient({ endpoint, region: "us-east-1", credentials }));
  }
  return clients.get(name);
}

// A copy, with what `change` makes of every member that is called BinaryValue.
function withBinary(value, change) {
  if (Array.isArray(value)) {
    return value.map((item) => withBinary(item, change));
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [
    name,
    name === "BinaryValue" ? change(member) : withBinary(member, change),
  ]));
}

async function answer(request) {
  const { id, operation, input } = request;
  try {
    const command = new sdk[`${operation}Command`](
      withBinary(input, (text) => Buffer.from(text, "base64")));
    const { $metadata, ...output } = await clientOf(request).send(command);
    return { id, output: withBinary(output, (bytes) => Buffer.from(bytes).toString("base64")) };
  } catch (error) {
    const { name, message, Code, $metadata } = error;
    const status = $metadata?.httpStatusCode ?? 0; // 0: it is not the server that refused
    return { id, error: { status, type: name, code: Code ?? name, message: message ?? `${error}` } };
  }
}

createInterface({ input: process.stdin }).on("line", async (line) => {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}).on("close", () => process.exit(0));
