/* The admin page: a client of the endpoint that served it. What comes from messages is text, and
 * gets into the page as text only. */
"use strict";

const REFRESH_MS = 2000;
/* What a refresh may take of the queue's time at most: a twentieth. */
const REFRESH_SHARE = 20;
const PAGE_QUEUES = 50;
const PAGE_MESSAGES = 20;
const EXCERPT_BYTES = 4096;

const $ = (id) => document.getElementById(id);

/* node("td", {class: "n"}, "12"): an element; strings become text. */
function node(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

async function ask(target, parameters) {
  let answer;
  try {
    answer = await fetch("./", {
      method: "POST",
      headers: {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target},
      body: JSON.stringify(parameters),
    });
  } catch {
    throw new Error("The queue does not answer.");
  }
  const text = await answer.text();
  const value = text === "" ? {} : JSON.parse(text);
  if (!answer.ok) throw new Error(value.message || `HTTP status ${answer.status}`);
  return value;
}

const sqs = (operation, parameters) => ask(`AmazonSQS.${operation}`, parameters);
const own = (operation, parameters) => ask(`BunshinQueue.${operation}`, parameters);

/* Shows what went wrong; true when nothing did. */
let troubled = null;
function trouble(source, error) {
  troubled = error === null ? (troubled === source ? null : troubled) : source;
  if (error !== null) $("error").textContent = error.message;
  $("error").hidden = troubled === null;
}

async function attempt(source, work) {
  try {
    await work();
    trouble(source, null);
    return true;
  } catch (error) {
    trouble(source, error);
    return false;
  }
}

/* 93784 s: "1 d 2 h" */
function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([unit]) => seconds >= unit);
  if (first < 0) return "0 s";
  const [unit, name] = parts[first];
  const rest = parts[first + 1] && Math.floor((seconds % unit) / parts[first + 1][0]);
  return `${Math.floor(seconds / unit)} ${name}` + (rest ? ` ${rest} ${parts[first + 1][1]}` : "");
}

const count = (number) => number.toLocaleString("en");
const when = (ms) => new Date(ms).toISOString().replace("T", " ").replace("Z", " UTC");
const hrefOf = (name) => `#/${encodeURIComponent(name)}`;

function update(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/* The list of queues. */

const list = {tokens: [""], next: undefined, rows: new Map()};

function makeRow(name) {
  const cell = (label, kind) => node("td", {class: kind, "data-label": label});
  const row = {
    visible: cell("Visible", "n"),
    inFlight: cell("In flight", "n"),
    delayed: cell("Delayed", "n"),
    oldest: cell("Oldest", "n"),
    dead: cell("Failures go to", "dead"),
  };
  row.element = node("tr", {},
    node("th", {scope: "row"}, node("a", {href: hrefOf(name)}, name)),
    row.visible, row.inFlight, row.delayed, row.oldest, row.dead);
  return row;
}

function deadLetterText(queue) {
  if (queue.DeadLetterQueueName !== undefined)
    return `${queue.DeadLetterQueueName} after ${count(queue.MaxReceiveCount)} receives`;
  return "";
}

function ageText(queue, now) {
  return queue.OldestSentTimestamp === undefined ? "–" : span(now - queue.OldestSentTimestamp);
}

function fillRow(row, queue, now) {
  for (const [cell, number] of [[row.visible, queue.Visible], [row.inFlight, queue.InFlight],
    [row.delayed, queue.Delayed]]) {
    update(cell, count(number));
    cell.classList.toggle("zero", number === 0);
  }
  update(row.oldest, ageText(queue, now));
  update(row.dead, deadLetterText(queue));
}

/* Rows are kept from one refresh to the next, so that the focus stays where it is. */
function showList(answer) {
  const body = $("list").tBodies[0];
  const names = new Set(answer.Queues.map((queue) => queue.QueueName));
  for (const [name, row] of list.rows) {
    if (names.has(name)) continue;
    row.element.remove();
    list.rows.delete(name);
  }
  answer.Queues.forEach((queue, index) => {
    let row = list.rows.get(queue.QueueName);
    if (!row) list.rows.set(queue.QueueName, row = makeRow(queue.QueueName));
    fillRow(row, queue, answer.Time);
    if (body.children[index] !== row.element)
      body.insertBefore(row.element, body.children[index] || null);
  });
  const searching = $("search").value.trim() !== "";
  const first = (list.tokens.length - 1) * PAGE_QUEUES;
  const range = answer.Queues.length < answer.MatchCount
    ? `${first + 1} to ${first + answer.Queues.length} of ` : "";
  update($("list-caption"), answer.QueueCount === 0
    ? "There is no queue yet."
    : `${range}${count(answer.MatchCount)} ${answer.MatchCount === 1 ? "queue" : "queues"}` +
      (searching ? `, of ${count(answer.QueueCount)}` : ""));
  list.next = answer.NextToken;
  $("list-back").disabled = list.tokens.length === 1;
  $("list-next").disabled = list.next === undefined;
  $("list-back").parentElement.hidden = list.tokens.length === 1 && list.next === undefined;
}

async function refreshList() {
  const token = list.tokens[list.tokens.length - 1];
  const search = $("search").value.trim();
  const answer = await own("Overview", {
    Search: search,
    MaxResults: PAGE_QUEUES,
    NextToken: token,
  });
  if (token !== list.tokens[list.tokens.length - 1] || search !== $("search").value.trim()) return;
  /* What was on this page is gone: back to the first. */
  if (answer.Queues.length === 0 && token !== "") {
    list.tokens = [""];
    return refreshList();
  }
  showList(answer);
}

async function createQueue(event) {
  event.preventDefault();
  const name = $("create").elements.name.value.trim();
  const attributes = name.endsWith(".fifo") ? {FifoQueue: "true"} : {};
  if (await attempt("create", () => sqs("CreateQueue", {QueueName: name, Attributes: attributes}))) {
    $("create").reset();
    location.hash = hrefOf(name);
  }
}

/* One queue. */

let queue = null; /* what Overview last said of it */
let asked = 0; /* how often another queue was opened, to drop answers that come late */

function showCounts(now) {
  const shown = [["Visible", count(queue.Visible)], ["In flight", count(queue.InFlight)],
    ["Delayed", count(queue.Delayed)], ["Oldest", ageText(queue, now)]];
  const box = $("counts");
  if (box.children.length === 0)
    box.append(...shown.map(([name]) => node("div", {}, node("dt", {}, name), node("dd"))));
  shown.forEach(([, value], index) => update(box.children[index].lastChild, value));
}

function showQueue(now) {
  update($("queue-url"), queue.QueueUrl);
  showCounts(now);
  $("queue-links").replaceChildren();
  if (queue.DeadLetterQueueName !== undefined)
    $("queue-links").append("Failures go to ",
      node("a", {href: hrefOf(queue.DeadLetterQueueName)}, queue.DeadLetterQueueName),
      ` after ${count(queue.MaxReceiveCount)} receives.`);
  $("redrive").hidden = !queue.IsDeadLetterQueue;
  $("delay-field").hidden = queue.Fifo;
  $("dedup-field").hidden = !queue.Fifo;
  $("send-form").elements.group.required = queue.Fifo;
}

async function refreshQueue() {
  const mine = asked;
  const name = openName();
  const answer = await own("Overview", {QueueName: name});
  if (mine !== asked) return;
  if (answer.Queues.length === 0) throw new Error(`There is no queue ${name}.`);
  queue = answer.Queues[0];
  showQueue(answer.Time);
  if (queue.IsDeadLetterQueue) await refreshMoves();
}

/* Attributes and tags, asked for when they are opened. */
async function showSettings() {
  if (!$("settings").open || queue === null) return;
  const mine = asked;
  await attempt("settings", async () => {
    const [attributes, tags] = await Promise.all([
      sqs("GetQueueAttributes", {QueueUrl: queue.QueueUrl, AttributeNames: ["All"]}),
      sqs("ListQueueTags", {QueueUrl: queue.QueueUrl}),
    ]);
    if (mine !== asked) return;
    const rows = Object.entries(attributes.Attributes || {})
      .filter(([name]) => !name.startsWith("ApproximateNumber"))
      .map(([name, value]) =>
        [name, name.endsWith("Timestamp") ? when(1000 * Number(value)) : value])
      .concat(Object.entries(tags.Tags || {}).map(([name, value]) => [`tag ${name}`, value]));
    $("settings-list").replaceChildren(
      ...rows.flatMap(([name, value]) => [node("dt", {}, name), node("dd", {}, value)]));
  });
}

/* Messages. */

let next; /* the position behind the page that is shown */

function stateBadge(state) {
  const names = {Visible: "visible", InFlight: "in flight", Delayed: "delayed"};
  return node("span", {class: `badge ${state}`}, names[state] || state);
}

function factsOf(message, now) {
  const facts = [
    ["Message id", message.MessageId],
    ["Sent", `${when(message.SentTimestamp)} (${span(now - message.SentTimestamp)} ago)`],
    ["Received", message.ReceiveCount === 0 ? "never" : `${count(message.ReceiveCount)} times, first ${when(message.FirstReceiveTimestamp)}`],
    ["Visible", message.State === "Visible" ? `since ${when(message.VisibleTimestamp)}` : `in ${span(message.VisibleTimestamp - now)}`],
    ["Body", `${count(message.BodyBytes)} bytes, MD5 ${message.MD5OfBody}`],
    ["Group id", message.MessageGroupId],
    ["Deduplication id", message.MessageDeduplicationId],
    ["Sequence number", message.SequenceNumber],
    ["Came from", message.DeadLetterQueueSource],
    ["Trace header", message.AWSTraceHeader],
  ];
  const attributes = Object.entries(message.MessageAttributes || {}).map(([name, value]) =>
    [name, `${value.StringValue === undefined ? value.BinaryValue : value.StringValue} (${value.DataType})`]);
  return node("dl", {class: "details"}, ...facts.concat(attributes)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => [node("dt", {}, name), node("dd", {}, String(value))]));
}

async function loadWhole(message, body, button) {
  const mine = asked;
  await attempt("whole", async () => {
    const answer = await own("PeekMessages",
      {QueueUrl: queue.QueueUrl, Position: message.Position, MaxNumberOfMessages: 1});
    const found = answer.Messages[0];
    if (mine !== asked) return;
    if (!found || found.MessageId !== message.MessageId)
      throw new Error("The message is no longer there, or was received meanwhile.");
    body.textContent = found.Body;
    button.remove();
  });
}

function showMessage(message, now) {
  const body = node("pre", {tabindex: "0", "aria-label": "Body"}, message.Body);
  const excerpt = message.Body.slice(0, 200).replace(/\s+/g, " ");
  const details = node("details", {},
    node("summary", {},
      stateBadge(message.State),
      node("span", {class: "excerpt mono"}, excerpt),
      node("span", {class: "facts"}, `${span(now - message.SentTimestamp)}` +
        (message.ReceiveCount > 0 ? `, received ${count(message.ReceiveCount)}×` : ""))),
    body);
  if (!message.BodyIsWhole) {
    const button = node("button", {type: "button", click: () => loadWhole(message, body, button)},
      `Show all ${count(message.BodyBytes)} bytes`);
    details.append(button);
  }
  details.append(factsOf(message, now));
  return node("li", {}, details);
}

async function peek(position) {
  const mine = asked;
  await attempt("peek", async () => {
    const parameters = {
      QueueUrl: `/${openName()}`,
      MaxNumberOfMessages: PAGE_MESSAGES,
      MaxBodyBytes: EXCERPT_BYTES,
      From: $("from").value,
    };
    if (position) parameters.Position = position;
    const answer = await own("PeekMessages", parameters);
    if (mine !== asked) return;
    $("messages").replaceChildren(
      ...answer.Messages.map((message) => showMessage(message, answer.Time)));
    $("no-messages").hidden = answer.Messages.length > 0;
    update($("no-messages"), position ? "No further message." : "No message.");
    update($("looked"), `Looked at ${when(answer.Time).slice(11, 19)} UTC, without receiving: ` +
      "nothing about a message changes.");
    next = answer.NextPosition;
    $("peek-next").disabled = next === undefined;
    $("peek-first").disabled = !position;
    $("peek-next").parentElement.hidden = next === undefined && !position;
  });
}

function addAttribute() {
  const row = node("div", {class: "attribute"},
    node("input", {name: "attribute-name", placeholder: "name", "aria-label": "Attribute name",
      maxlength: "256", required: true, autocomplete: "off"}),
    node("select", {name: "attribute-type", "aria-label": "Attribute type"},
      node("option", {}, "String"), node("option", {}, "Number"), node("option", {}, "Binary")),
    node("input", {name: "attribute-value", placeholder: "value (Binary: base64)",
      "aria-label": "Attribute value", required: true, autocomplete: "off"}),
    node("button", {type: "button", click: () => row.remove()}, "Remove"));
  $("attributes").append(row);
  row.firstChild.focus();
}

function attributesOfForm() {
  const attributes = {};
  for (const row of $("attributes").children) {
    const [name, type, value] = row.querySelectorAll("input, select");
    const member = type.value === "Binary" ? "BinaryValue" : "StringValue";
    attributes[name.value] = {DataType: type.value, [member]: value.value};
  }
  return attributes;
}

async function send(event) {
  event.preventDefault();
  const fields = $("send-form").elements;
  const parameters = {QueueUrl: queue.QueueUrl, MessageBody: fields.body.value};
  const attributes = attributesOfForm();
  if (Object.keys(attributes).length > 0) parameters.MessageAttributes = attributes;
  if (fields.delay.value !== "" && !queue.Fifo) parameters.DelaySeconds = Number(fields.delay.value);
  if (fields.group.value !== "") parameters.MessageGroupId = fields.group.value;
  if (fields.dedup.value !== "" && queue.Fifo) parameters.MessageDeduplicationId = fields.dedup.value;
  $("sent").textContent = "";
  await attempt("send", async () => {
    const answer = await sqs("SendMessage", parameters);
    $("sent").textContent = `Sent: ${answer.MessageId}`;
    fields.body.value = "";
    await Promise.all([refreshQueue(), peek()]);
  });
}

/* Asks before what cannot be undone; resolves to true for yes. */
let decide = null; /* of the question that stands */

function decided(yes) {
  if (decide !== null) decide(yes);
  decide = null;
}

function confirmed(title, text, yes) {
  decided(false);
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-yes").textContent = yes;
  $("ask").returnValue = "";
  $("ask").showModal();
  return new Promise((resolve) => {
    decide = resolve;
  });
}

/* The event of one question may come late, when the next one stands already. */
function askClosed() {
  if (!$("ask").open) decided($("ask").returnValue === "yes");
}

async function purge() {
  await attempt("purge", refreshQueue);
  const total = queue.Visible + queue.InFlight + queue.Delayed;
  if (!await confirmed(`Purge ${queue.QueueName}?`,
    `All of its ${count(total)} messages are deleted, those in flight and delayed included. ` +
    "This cannot be undone.", "Delete all messages")) return;
  await attempt("purge", async () => {
    await sqs("PurgeQueue", {QueueUrl: queue.QueueUrl});
    await Promise.all([refreshQueue(), peek()]);
  });
}

/* Redrive. */

function moveText(task) {
  const to = task.DestinationArn === undefined
    ? "each to its own queue" : `to ${task.DestinationArn.split(":").pop()}`;
  return `${task.Status.toLowerCase()}: ${count(task.ApproximateNumberOfMessagesMoved)} of ` +
    `${count(task.ApproximateNumberOfMessagesToMove)} moved ${to}, started ` +
    when(task.StartedTimestamp) + (task.FailureReason ? `: ${task.FailureReason}` : "");
}

function showMove(task) {
  const row = node("li", {});
  if (task.Status === "RUNNING")
    row.append(node("progress", {"aria-label": "Moved",
      max: Math.max(1, task.ApproximateNumberOfMessagesToMove),
      value: task.ApproximateNumberOfMessagesMoved}));
  row.append(node("span", {}, moveText(task)));
  if (task.TaskHandle !== undefined)
    row.append(node("button", {type: "button", click: () => attempt("redrive", async () => {
      await sqs("CancelMessageMoveTask", {TaskHandle: task.TaskHandle});
      await refreshMoves();
    })}, "Cancel"));
  return row;
}

let movesShown = "";
async function refreshMoves() {
  const mine = asked;
  const answer = await sqs("ListMessageMoveTasks", {SourceArn: queue.QueueArn, MaxResults: 3});
  const text = JSON.stringify(answer.Results || []);
  if (mine !== asked || text === movesShown) return;
  const focused = $("moves").contains(document.activeElement);
  movesShown = text;
  $("moves").replaceChildren(...(answer.Results || []).map(showMove));
  if (focused) ($("moves").querySelector("button") || $("redrive-form").elements.rate).focus();
}

async function redrive(event) {
  event.preventDefault();
  const fields = $("redrive-form").elements;
  const parameters = {SourceArn: queue.QueueArn};
  const destination = fields.destination.value.trim();
  if (destination !== "")
    parameters.DestinationArn = queue.QueueArn.replace(/[^:]*$/, () => destination);
  if (fields.rate.value !== "") parameters.MaxNumberOfMessagesPerSecond = Number(fields.rate.value);
  await attempt("redrive", async () => {
    await sqs("StartMessageMoveTask", parameters);
    await refreshQueue();
  });
}

async function offerNames() {
  const search = $("redrive-form").elements.destination.value.trim();
  const answer = await own("Overview", {Search: search, MaxResults: 20});
  $("queue-names").replaceChildren(
    ...answer.Queues.filter((other) => other.QueueName !== openName())
      .map((other) => node("option", {value: other.QueueName})));
}

/* Where we are: "#/NAME" is a queue, everything else the list. */

function openName() {
  try {
    return location.hash.startsWith("#/") ? decodeURIComponent(location.hash.slice(2)) : "";
  } catch {
    return "";
  }
}

async function refresh() {
  await attempt("refresh", () => (openName() === "" ? refreshList() : refreshQueue()));
}

async function health() {
  const badge = $("health");
  let text = "not reachable", failing = true;
  try {
    const report = await (await fetch("_health")).json();
    failing = report.status !== "ok";
    text = failing ? `failing: ${report.reason}` : "ok";
  } catch {
    /* said already */
  }
  update(badge, text);
  badge.className = `badge ${failing ? "failing" : "ok"}`;
}

async function open() {
  const name = openName();
  asked++;
  queue = null;
  trouble(troubled, null);
  $("queues").hidden = name !== "";
  $("queue").hidden = true;
  document.title = name === "" ? "Bunshin queue" : `${name} – Bunshin queue`;
  await refresh();
  if (name === "" || queue === null || name !== openName()) return;
  update($("queue-title"), name);
  $("messages").replaceChildren();
  $("moves").replaceChildren();
  movesShown = "";
  $("send-form").reset();
  $("redrive-form").reset();
  $("attributes").replaceChildren();
  $("sent").textContent = "";
  $("from").value = "Visible";
  $("send").open = false;
  $("settings").open = false;
  $("queue").hidden = false;
  await peek();
  await refresh();
}

function start() {
  update($("address"), location.host);
  $("search").addEventListener("input", () => {
    list.tokens = [""];
    refresh();
  });
  $("list-next").addEventListener("click", () => {
    if (list.next !== undefined) list.tokens.push(list.next);
    refresh();
  });
  $("list-back").addEventListener("click", () => {
    if (list.tokens.length > 1) list.tokens.pop();
    refresh();
  });
  $("create").addEventListener("submit", createQueue);
  $("send-form").addEventListener("submit", send);
  $("add-attribute").addEventListener("click", addAttribute);
  $("redrive-form").addEventListener("submit", redrive);
  $("redrive-form").elements.destination.addEventListener("input", () => attempt("names", offerNames));
  $("redrive-form").elements.destination.addEventListener("focus", () => attempt("names", offerNames));
  $("settings").addEventListener("toggle", showSettings);
  $("purge").addEventListener("click", purge);
  $("ask").addEventListener("close", askClosed);
  $("peek").addEventListener("click", () => peek());
  $("peek-first").addEventListener("click", () => peek());
  $("peek-next").addEventListener("click", () => peek(next));
  $("from").addEventListener("change", () => peek());
  window.addEventListener("hashchange", open);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  /* The next turn begins when this one has been answered, so a slow queue is not asked faster. */
  const turn = async () => {
    /* A queue that could not be shown when it was opened is opened again. */
    const began = performance.now();
    const missed = openName() !== "" && $("queue").hidden;
    if (!document.hidden) await Promise.all([missed ? open() : refresh(), health()]);
    setTimeout(turn, Math.max(REFRESH_MS, REFRESH_SHARE * (performance.now() - began)));
  };
  open();
  health();
  setTimeout(turn, REFRESH_MS);
}

start();
