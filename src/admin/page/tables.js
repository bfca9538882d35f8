/* What is now, below the charts: a function a section, each takes the whole of /status.json. */

import {$, badge, keyed, node, pick, setAttribute, setBadge, update} from "./dom.js";
import {
  bytes, clock, clockMinute, compact, count, isNumber, milliseconds, money, perSecond,
  plural, rate, relative, share, span, UNKNOWN,
} from "./format.js";

const WORKERS_SHOWN = 20;
const FIRST_SHOWN = 8;
const ACTIVE_MS = 60000;

const cell = (label, kind) => node("td", {"data-label": label, class: kind});

/* A row with a heading and cells by name: cellsOf(["count", "Count", "n"], ...). */
function rowOf(cells) {
  const row = {cells: {}};
  const heading = node("th", {scope: "row"});
  row.heading = heading;
  row.element = node("tr", {}, heading, ...cells.map(([name, label, kind]) =>
    row.cells[name] = cell(label, kind)));
  row.elements = [row.element];
  return row;
}

/* A bar and its words; `part` of 1, null: no bar. */
function meter() {
  const fill = node("span", {class: "fill"}), words = node("span", {class: "words"});
  const bar = node("span", {class: "bar", "aria-hidden": "true"}, fill);
  return {element: node("div", {class: "meter"}, words, bar), bar, fill, words};
}

function setMeter(made, part, words, kind = "") {
  made.bar.hidden = part === null;
  if (part !== null) made.fill.style.width = `${(Math.max(0, Math.min(1, part)) * 100).toFixed(2)}%`;
  made.element.dataset.kind = kind;
  update(made.words, words);
}

/* The first few of a list, or all when the reader has asked for them by the button below it. */
const whole = new Set();

function firstOf(list, id) {
  const more = $(id);
  more.hidden = list.length <= FIRST_SHOWN;
  update(more, whole.has(id) ? "Show fewer" : `Show all ${count(list.length)}`);
  setAttribute(more, "aria-expanded", String(whole.has(id)));
  return whole.has(id) ? list : list.slice(0, FIRST_SHOWN);
}

/* Outcomes. */

const OUTCOMES = [
  ["accepted", "accepted", "ok"],
  ["suppressed", "duplicates", "neutral"],
  ["failed", "failed", "failed"],
  ["failed_left", "failed, left", "failed"],
  ["expired", "expired", "failed"],
  ["cancelled", "cancelled", "paused"],
  ["lost", "lost", "degraded"],
];

export function showOutcomes(status) {
  const totals = status.totals || {}, rates = status.rates || {};
  const settled = OUTCOMES.reduce((sum, [name]) => sum + (totals[name] || 0), 0);
  const shown = OUTCOMES.filter(([name], index) =>
    index === 0 || name === "failed" || name === "expired" || totals[name] > 0);

  keyed($("outcomes").tBodies[0], shown, ([name]) => name, ([, label, kind]) => {
    const row = rowOf([["count", "Messages", "n"], ["share", "Share", "n"], ["now", "Now", "n"]]);
    const mark = badge();
    setBadge(mark, kind, label);
    row.heading.append(mark);
    return row;
  }, (row, [name]) => {
    update(row.cells.count, count(totals[name]));
    update(row.cells.share, share(totals[name], settled));
    update(row.cells.now, name in rates ? perSecond(rates[name]) : "");
    row.element.classList.toggle("zero", !totals[name]);
  });
  update($("outcomes-since"), `since ${clockMinute(status.started_ms, status.now_ms)}`);
  update($("outcomes-more"), `${count(totals.received)} received, ${count(totals.attempts)} attempts, ` +
    `${count(totals.retried)} retried, ${count(totals.postponed)} put back`);
}

/* Failures by reason, with a sample that opens. */

const FAILED = {
  failed: ["failed", "failed"],
  failed_left: ["failed", "failed, left"],
  expired: ["failed", "expired"],
  lost: ["degraded", "lost"],
  retrying: ["degraded", "retrying"],
};

let samples = 0;

function failureRow() {
  const row = rowOf([["outcome", "Outcome"], ["destination", "Destination", "destination"],
    ["count", "Count", "n"],
    ["last", "Last", "n"], ["open", "", "n open"]]);
  const id = `sample-${++samples}`;
  row.reason = node("span", {class: "reason"});
  row.status = node("span", {class: "status"});
  row.heading.append(node("div", {class: "what"}, row.status, row.reason));
  row.badge = badge();
  row.cells.outcome.append(row.badge);
  row.details = node("dl", {class: "pairs"});
  row.answer = node("pre", {tabindex: "0", "aria-label": "answer of the provider"});
  row.more = node("tr", {class: "sample", id, hidden: true},
    node("td", {colspan: "6"}, row.details, row.answer));
  row.button = node("button", {
    type: "button", class: "quiet small", "aria-expanded": "false", "aria-controls": id,
    click: () => {
      row.more.hidden = !row.more.hidden;
      row.button.setAttribute("aria-expanded", String(!row.more.hidden));
      row.element.classList.toggle("opened", !row.more.hidden);
    },
  }, "Sample");
  row.cells.open.append(row.button);
  row.elements.push(row.more);
  return row;
}

function fillSample(row, failure) {
  const sample = failure.sample || null;
  row.button.hidden = sample === null;
  if (sample === null) {
    row.more.hidden = true;
    return;
  }
  const facts = [["Message", sample.message_id], ["Campaign", sample.campaign],
    ["Attempt", isNumber(sample.attempt) ? count(sample.attempt) : null],
    ["Request id", sample.request_id], ["Class", failure.class]]
    .filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = JSON.stringify(facts);
  if (row.facts !== text) {
    row.facts = text;
    row.details.replaceChildren(...facts.map(([name, value]) =>
      node("div", {}, node("dt", {}, name), node("dd", {}, String(value)))));
  }
  const answer = sample.answer ? String(sample.answer) : "";
  update(row.answer, answer || "The provider sent no body.");
  row.answer.classList.toggle("soft", !answer);
}

export function showFailures(status) {
  const failures = status.failures || [];
  const all = failures.reduce((sum, failure) => sum + (failure.count || 0), 0);

  $("failures").hidden = failures.length === 0;
  $("failures-none").hidden = failures.length > 0;
  update($("failures-count"), failures.length
    ? `${plural(failures.length, "reason", "reasons")}, ${count(all)} times` : "");
  keyed($("failures").tBodies[0], firstOf(failures, "failures-more"),
    (failure) => JSON.stringify([failure.outcome, failure.destination, failure.status,
      failure.reason]),
    failureRow, (row, failure) => {
      update(row.status, isNumber(failure.status) && failure.status > 0 ? String(failure.status) : "");
      update(row.reason, String(failure.reason ?? "unknown"));
      row.status.hidden = row.status.textContent === "" ||
        row.reason.textContent.startsWith(row.status.textContent);
      setAttribute(row.button, "aria-label", `Sample of ${row.reason.textContent}`);
      setBadge(row.badge, ...pick(FAILED, failure.outcome, ["neutral", String(failure.outcome)]));
      update(row.cells.destination, String(failure.destination ?? UNKNOWN));
      update(row.cells.count, count(failure.count));
      update(row.cells.last, clock(failure.last_ms, status.now_ms));
      setAttribute(row.cells.last, "title", relative(failure.last_ms, status.now_ms));
      fillSample(row, failure);
    });
}

/* Campaigns. */

const doneOf = (campaign) => ["accepted", "failed", "expired", "cancelled", "suppressed"]
  .reduce((sum, name) => sum + (campaign[name] || 0), 0);

export const isActive = (campaign, now) =>
  campaign.accepted_per_second > 0 || now - campaign.last_ms < ACTIVE_MS;

/* All that the queue holds; null: unknown. */
export function remaining(status) {
  const {visible, in_flight: flight, delayed} = status.queue || {};
  return isNumber(visible) ? visible + (flight || 0) + (delayed || 0) : null;
}

/* The earliest deadline of a campaign that is under way; null: none. */
export function nextDeadline(status) {
  const deadlines = (status.campaigns || [])
    .filter((campaign) => isNumber(campaign.deadline_ms) && isActive(campaign, status.now_ms))
    .map((campaign) => campaign.deadline_ms);
  return deadlines.length ? Math.min(...deadlines) : null;
}

function campaignRow() {
  const row = rowOf([["progress", "Progress", "wide"], ["failed", "Failed", "n"],
    ["expired", "Expired", "n"], ["rate", "Rate", "n"], ["deadline", "Deadline", "n"],
    ["eta", "Done at", "n"]]);
  row.meter = meter();
  row.cells.progress.append(row.meter.element);
  row.deadline = node("span");
  row.left = node("span", {class: "soft"});
  row.cells.deadline.append(row.deadline, row.left);
  row.eta = node("span");
  row.late = badge();
  row.cells.eta.append(row.eta, row.late);
  return row;
}

/*
 * How many messages a campaign has is not known here; when it is the only one under way, what the
 * queue holds is its own.
 */
function fillProgress(row, campaign, alone, status) {
  const done = doneOf(campaign), left = remaining(status);
  const cancelled = (status.control?.cancelled || []).includes(campaign.name);

  if (cancelled) setMeter(row.meter, null, `cancelled, ${count(done)} done`);
  else if (alone && left !== null && left > 0)
    setMeter(row.meter, done / (done + left), `${share(done, done + left)} · ${count(done)} of about ` +
      compact(done + left));
  else if (done > 0 && (!isActive(campaign, status.now_ms) || left === 0)) setMeter(row.meter, 1,
    `${count(done)} done`, "done");
  else setMeter(row.meter, null, `${count(done)} done`);
}

function fillEta(row, campaign, active, status) {
  const now = status.now_ms;
  const empty = status.control?.paused ? null : status.queue?.empty_ms ?? null;
  const deadline = campaign.deadline_ms ?? null;

  update(row.deadline, isNumber(deadline) ? clockMinute(deadline, now) : "none");
  update(row.left, isNumber(deadline) && active ? relative(deadline, now) : "");
  if (!active) {
    update(row.eta, clockMinute(campaign.last_ms, now));
    row.late.hidden = true;
    return;
  }
  update(row.eta, isNumber(empty) ? `about ${clockMinute(empty, now)}` : UNKNOWN);
  row.late.hidden = !isNumber(deadline) || !isNumber(empty);
  if (row.late.hidden) return;
  if (empty > deadline) setBadge(row.late, "failed", `${span(empty - deadline)} late`);
  else setBadge(row.late, "ok", "on time");
}

export function showCampaigns(status) {
  const campaigns = status.campaigns || [];
  const active = campaigns.filter((campaign) => isActive(campaign, status.now_ms));

  $("campaigns").hidden = campaigns.length === 0;
  $("campaigns-none").hidden = campaigns.length > 0;
  update($("campaigns-count"), campaigns.length
    ? `${plural(campaigns.length, "campaign", "campaigns")}, ${count(active.length)} under way` : "");
  keyed($("campaigns").tBodies[0], firstOf(campaigns, "campaigns-more"), (campaign) => String(campaign.name), (campaign) => {
    const row = campaignRow();
    row.heading.append(String(campaign.name));
    return row;
  }, (row, campaign) => {
    const isUnderWay = active.includes(campaign);
    fillProgress(row, campaign, isUnderWay && active.length === 1, status);
    fillEta(row, campaign, isUnderWay, status);
    update(row.cells.failed, count(campaign.failed));
    row.cells.failed.classList.toggle("zero", !campaign.failed);
    update(row.cells.expired, count(campaign.expired));
    row.cells.expired.classList.toggle("zero", !campaign.expired);
    update(row.cells.rate, isUnderWay ? perSecond(campaign.accepted_per_second) : "");
  });
}

/* Destinations. */

const BREAKERS = {closed: "ok", half_open: "degraded", "half-open": "degraded", open: "failed"};

function destinationRow(destination) {
  const row = rowOf([["breaker", "Breaker"], ["busy", "In flight", "wide"], ["rate", "Rate allowed", "n"],
    ["attempts", "Attempts", "n"], ["accepted", "Accepted", "n"]]);
  row.heading.append(String(destination.name));
  row.badge = badge();
  row.cells.breaker.append(row.badge);
  row.meter = meter();
  row.cells.busy.append(row.meter.element);
  return row;
}

export function showDestinations(status) {
  keyed($("destinations").tBodies[0], status.destinations || [],
    (destination) => String(destination.name), destinationRow, (row, destination) => {
      const {busy, limit, configured} = destination;
      const reduced = isNumber(configured) && isNumber(limit) && limit < configured;
      setBadge(row.badge, pick(BREAKERS, destination.breaker, "neutral"),
        String(destination.breaker ?? "unknown"));
      setMeter(row.meter, isNumber(busy) && limit > 0 ? busy / limit : null,
        (isNumber(busy) ? `${count(busy)} of ${count(limit)}` : `${count(limit)} allowed`) + (reduced ? `, configured ${count(configured)}` : ""));
      update(row.cells.rate, isNumber(destination.rate) ? perSecond(destination.rate) : "no limit");
      update(row.cells.attempts, perSecond(destination.attempts_per_second));
      update(row.cells.accepted, perSecond(destination.accepted_per_second));
    });
}

/* Workers: those that are not well first, a page at a time. */

const WELL = {running: "ok", starting: "neutral", stopping: "neutral", waiting: "degraded"};

const kindOf = (worker) => worker.heartbeat_age_ms > 5000 ? "degraded"
  : pick(WELL, worker.state, "failed");

let workersFrom = 0;
let latest = null;

function workerRow(worker) {
  const row = rowOf([["state", "State"], ["pid", "Pid", "n"], ["memory", "Memory", "n"],
    ["busy", "In flight", "n"], ["held", "Held", "n"], ["received", "Received", "n"],
    ["since", "Since", "n"]]);
  row.heading.append(String(worker.number));
  row.badge = badge();
  row.cells.state.append(row.badge);
  return row;
}

const stateWords = (worker) => worker.heartbeat_age_ms > 5000
  ? `${worker.state}, silent for ${span(worker.heartbeat_age_ms)}` : String(worker.state);

export function showWorkers(status) {
  const workers = [...status.workers || []].sort((a, b) =>
    (kindOf(a) === "ok") - (kindOf(b) === "ok") || a.number - b.number ||
    a.generation - b.generation);
  const sum = (name) => workers.reduce((total, worker) => total + (worker[name] || 0), 0);
  const states = new Map();

  latest = status;
  for (const {state} of workers) states.set(state, (states.get(state) || 0) + 1);
  update($("workers-count"), [...[...states].map(([state, number]) => `${count(number)} ${state}`),
    bytes(sum("memory_bytes"))].join(", "));
  workersFrom = Math.max(0, Math.min(workersFrom,
    Math.floor((workers.length - 1) / WORKERS_SHOWN) * WORKERS_SHOWN));
  keyed($("workers").tBodies[0], workers.slice(workersFrom, workersFrom + WORKERS_SHOWN),
    (worker) => `${worker.number} ${worker.pid}`, workerRow, (row, worker) => {
      setBadge(row.badge, kindOf(worker), stateWords(worker));
      update(row.cells.pid, String(worker.pid ?? UNKNOWN));
      update(row.cells.memory, bytes(worker.memory_bytes));
      update(row.cells.busy, `${count(worker.busy)} of ${count(worker.slots)}`);
      update(row.cells.held, count(worker.held));
      update(row.cells.received, count(worker.received));
      update(row.cells.since, isNumber(worker.since_ms) ? span(status.now_ms - worker.since_ms) : UNKNOWN);
    });
  $("workers-pager").hidden = workers.length <= WORKERS_SHOWN;
  $("workers-back").disabled = workersFrom === 0;
  $("workers-next").disabled = workersFrom + WORKERS_SHOWN >= workers.length;
  update($("workers-range"), `${count(workersFrom + 1)} to ` +
    `${count(Math.min(workers.length, workersFrom + WORKERS_SHOWN))} of ${count(workers.length)}`);
}

/* Checks, and SQS. */

const HEALTHS = ["ok", "degraded", "failed"];

export function showChecks(status) {
  keyed($("checks"), status.checks || [], (check) => String(check.name), (check) => {
    const row = {badge: badge(), detail: node("span", {class: "detail"})};
    row.elements = [node("li", {}, row.badge, node("span", {class: "name"}, String(check.name)),
      row.detail)];
    return row;
  }, (row, check) => {
    setBadge(row.badge, HEALTHS.includes(check.health) ? check.health : "neutral",
      String(check.health));
    update(row.detail, String(check.detail || ""));
  });
}

export function showSqs(status) {
  const {sqs = {}, totals = {}, latency = {}} = status;
  const done = (totals.accepted || 0) + (totals.failed || 0) + (totals.expired || 0);
  const pairs = [
    ["Requests now", perSecond(sqs.requests_per_second)],
    ["Requests", count(totals.sqs_requests)],
    ["For a message", done > 0 && isNumber(totals.sqs_requests)
      ? rate(totals.sqs_requests / done) : UNKNOWN],
    ["Cost, estimated", money(sqs.cost_usd)],
    ["Throttled", count(sqs.throttled)],
    ["Errors", count(sqs.errors)],
    ["Queue to acceptance, p50", milliseconds(latency.acceptance_ms?.p50)],
    ["Queue to acceptance, p99", milliseconds(latency.acceptance_ms?.p99)],
  ];
  keyed($("sqs"), pairs, ([name]) => name, ([name]) => {
    const value = node("dd");
    return {value, elements: [node("div", {}, node("dt", {}, name), value)]};
  }, (row, [, value]) => update(row.value, value));
}

export function openTables() {
  for (const [id, show] of [["failures-more", showFailures], ["campaigns-more", showCampaigns]])
    $(id).addEventListener("click", () => {
      if (!whole.delete(id)) whole.add(id);
      show(latest);
    });
  for (const [id, step] of [["workers-back", -WORKERS_SHOWN], ["workers-next", WORKERS_SHOWN]])
    $(id).addEventListener("click", () => {
      workersFrom += step;
      showWorkers(latest);
    });
}
