/*
 * The status page of the admin port: asks for /status.json and /history.json once a second and shows
 * them. It is a client like any other and knows nothing else.
 */
import {drawAll, forget, merge, newest, openCharts} from "./charts.js";
import {openControl, showControl} from "./control.js";
import {$, badge, keyed, node, pick, setAttribute, setBadge, symbol, SYMBOLS, update} from "./dom.js";
import {
  clock, clockMinute, count, isNumber, milliseconds, perSecond, relative, span, UNKNOWN,
} from "./format.js";
import {
  isActive, nextDeadline, openTables, showCampaigns, showChecks, showDestinations, showFailures,
  showOutcomes, showSqs, showWorkers,
} from "./tables.js";

const INTERVAL_MS = 1000;
const TIMEOUT_MS = 5000;
/* Figures that are older are marked. */
const STALE_MS = 4000;
/* By how much two times that should be equal may differ. */
const CLOCK_MS = 5000;

let status = null;
let answered = 0; /* when the latest answer came, by the clock of this machine */
let lost = null; /* why there is none now */

/* The verdict: its word, and one of the symbols with their colours. */

const WORDS = {
  starting: "Starting",
  idle: "Idle",
  late: "Late",
  held_up: "Held up",
  paused: "Paused",
  stopping: "Stopping",
};

function verdictOf() {
  const {health, state} = status.verdict;
  const hasDeadline = (status.campaigns || []).some((campaign) =>
    isNumber(campaign.deadline_ms) && isActive(campaign, status.now_ms));
  const word = state === "sending" ? (hasDeadline && health === "ok" ? "On time" : "Sending")
    : pick(WORDS, state, String(state));
  if (health === "failed" || health === "degraded")
    return {word, kind: state === "paused" ? "paused" : health};
  if (state === "paused") return {word, kind: "paused"};
  return {word, kind: state === "sending" ? "ok" : state === "late" || state === "held_up"
    ? "degraded" : state === "idle" ? "ok" : "neutral"};
}

/* What the tab shows when another one is in front. */
const COLOURS = {ok: "%23188038", degraded: "%23b06000", failed: "%23c5221f", paused: "%235b4bc4",
  neutral: "%235f6b7a"};
const MARKS = {ok: "✓", degraded: "!", failed: "✕", paused: "‖", neutral: "·"};

function showTab(kind, word) {
  const name = status?.queue?.name;
  const title = [`${MARKS[kind]} ${word}`, name, "Bunshin"].filter(Boolean).join(" – ");
  if (document.title !== title) document.title = title;
  setAttribute($("icon"), "href", "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' " +
    `viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='${COLOURS[kind]}'/%3E` +
    `%3Cpath d='${SYMBOLS[kind]}' fill='none' stroke='white' stroke-width='2' ` +
    "stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E");
}

/* The sentence below the word, which it need not say again. */
function wordsOf(word) {
  let words = String(status.verdict.words ?? "");
  if (words.toLowerCase().startsWith(`${word.toLowerCase()}: `)) words = words.slice(word.length + 2);
  return words ? words[0].toUpperCase() + words.slice(1) : "";
}

/* Whether the word and the sentence tell of a check already. */
const isSaid = ({name, health, detail}) => health === "ok" ||
  (name === "control" && status.verdict.state === "paused") ||
  Boolean(detail && String(status.verdict.words).includes(detail));

let spoken = "";

function showVerdict() {
  const {word, kind} = verdictOf();
  const box = $("verdict");
  const words = wordsOf(word);

  if (box.dataset.kind !== kind || !$("verdict-symbol").firstChild) {
    box.dataset.kind = kind;
    $("verdict-symbol").replaceChildren(symbol(kind));
  }
  update($("verdict-word"), word);
  update($("verdict-words"), words);
  keyed($("verdict-checks"), (status.checks || []).filter((check) => !isSaid(check)),
    (check) => String(check.name), (check) => {
      const row = {badge: badge(), words: node("span")};
      row.elements = [node("li", {}, row.badge, row.words)];
      return row;
    }, (row, check) => {
      setBadge(row.badge, check.health === "failed" ? "failed" : "degraded", String(check.name));
      update(row.words, String(check.detail || check.health));
    });
  /* Said once, not with every new figure. */
  if (spoken !== `${word} ${kind}`) {
    spoken = `${word} ${kind}`;
    update($("spoken"), `${word}. ${words}`);
  }
  showTab(kind, word);
}

function showFacts() {
  const {queue = {}, rates = {}, slots = {}, latency = {}, now_ms: now} = status;
  const deadline = nextDeadline(status);

  const empty = status.control?.paused ? null : queue.empty_ms ?? null;

  update($("fact-empty"), queue.visible === 0 && !queue.in_flight && !queue.delayed ? "now"
    : clockMinute(empty, now));
  update($("fact-empty-in"), status.control?.paused ? "paused"
    : empty !== null ? relative(empty, now) : queue.visible > 0 ? "it does not fall" : "");
  update($("fact-deadline"), deadline === null ? "none" : clockMinute(deadline, now));
  update($("fact-deadline-in"), relative(deadline, now));
  update($("fact-visible"), count(queue.visible));
  update($("fact-delayed"), queue.delayed > 0 ? `and ${count(queue.delayed)} delayed` : "");
  update($("fact-flight"), count(slots.busy));
  update($("fact-slots"), isNumber(slots.limit) ? `of ${count(slots.limit)} allowed` : "");
  update($("fact-accepted"), perSecond(rates.accepted));
  update($("fact-latency"), isNumber(latency.attempt_ms?.p99)
    ? `p99 ${milliseconds(latency.attempt_ms.p99)}` : "");
}

function showHeader() {
  update($("queue-name"), String(status.queue?.name ?? UNKNOWN));
  setAttribute($("queue-name"), "title", String(status.queue?.url ?? ""));
  update($("host"), String(status.host ?? UNKNOWN));
  update($("uptime"), isNumber(status.started_ms) ? span(status.now_ms - status.started_ms) : UNKNOWN);
  update($("version"), `bunshin ${status.version ?? ""}`);
}

const SECTIONS = [showHeader, showVerdict, showFacts, showOutcomes, showFailures, showCampaigns,
  showDestinations, showWorkers, showChecks, showSqs, showControl];

/* Connection. */

function showConnection() {
  const age = Date.now() - answered;
  const stale = lost !== null || age > STALE_MS;

  document.body.classList.toggle("stale", stale && answered > 0);
  $("live").dataset.kind = stale ? "failed" : "ok";
  update($("live-words"), !stale ? "live" : answered ? `${span(age)} old` : "no connection");
  $("lost").hidden = lost === null;
  if (lost === null) return;
  update($("lost"), (answered ? `Connection lost since ${clock(answered, Date.now())}: ${lost}. What ` +
    "is shown is of then. " : `No connection: ${lost}. `) + "It is tried again each second.");
  showTab("neutral", answered ? "Connection lost" : "No connection");
}

async function ask(path) {
  let answer;
  try {
    answer = await fetch(path, {signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store"});
  } catch (error) {
    throw new Error(error.name === "TimeoutError"
      ? `no answer within ${span(TIMEOUT_MS)}` : "the admin port does not answer");
  }
  if (!answer.ok) throw new Error(`the admin port answered with HTTP status ${answer.status}`);
  try {
    return await answer.json();
  } catch {
    throw new Error("the admin port's answer is not JSON, or was cut off");
  }
}

async function refresh() {
  const latest = await ask("status.json");
  if (!isNumber(latest?.now_ms) || typeof latest.verdict !== "object")
    throw new Error("the admin port's answer is not a status");
  /* Another process, or a clock that was set: its past is not this one's. */
  if (status && (Math.abs(latest.started_ms - status.started_ms) > CLOCK_MS ||
    newest() > latest.now_ms + CLOCK_MS))
    forget();
  const past = await ask(`history.json?since=${newest()}`);
  status = latest;
  for (const show of SECTIONS) show(status);
  if (Array.isArray(past?.columns) && Array.isArray(past.rows)) merge(past);
  drawAll();
}

let next = 0;
let isAsking = false;

async function turn() {
  clearTimeout(next);
  if (isAsking) return;
  isAsking = true;
  try {
    await refresh();
    answered = Date.now();
    lost = null;
  } catch (error) {
    lost = error.message;
  }
  isAsking = false;
  showConnection();
  next = setTimeout(turn, INTERVAL_MS);
}

openCharts();
openTables();
openControl();
/* While an answer is awaited, too. */
setInterval(showConnection, INTERVAL_MS);
/* Browsers slow down what is in the background: whoever comes back sees what is now. */
addEventListener("online", turn);
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
turn();
