/* Pause and resume: a question, the token, and what the server said to it. */

import {$, update} from "./dom.js";
import {clock} from "./format.js";

const TOKEN = "bunshin-admin-token";
const TIMEOUT_MS = 15000;
const ANSWER_SHOWN = 2000;

let status = null; /* the latest /status.json */
let asked = null; /* what was asked for and is not seen yet: {paused, at} */
let dialog = null; /* what the open dialog is about: "pause", "resume", "help" */

const isPaused = () => status?.control?.paused === true;
const isWritable = () => status?.control?.writable === true;

/* Storage may be forbidden; then the token is asked for each time. */
function storedToken() {
  try {
    return sessionStorage.getItem(TOKEN) || "";
  } catch {
    return "";
  }
}

function storeToken(token) {
  try {
    if (token === "") sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, token);
  } catch {
    /* As above. */
  }
}

const command = (verb) => `bunshin campaign ${verb} --queue-url ${status?.queue?.url ?? "URL"}`;

function textsOf(kind) {
  const name = status?.queue?.name ?? "";
  return {
    pause: {
      title: `Pause ${name}?`,
      text: "No worker of this queue, on any host, starts another message until somebody resumes. " +
        "What is in flight is finished. Deadlines go on: a message past its own is not sent any more.",
      yes: "Pause the queue",
    },
    resume: {
      title: `Resume ${name}?`,
      text: "All workers of this queue, on every host, go on sending within half a minute.",
      yes: "Resume the queue",
    },
    help: {
      title: "This page is read-only",
      text: "To pause and resume from here, set admin.token in the configuration (at least 16 " +
        "characters, best read from a file: token: ${file:/etc/bunshin/admin-token}) and reload. " +
        "Without it, run:",
      yes: "Close",
    },
  }[kind];
}

function showError(words, answer) {
  update($("ask-error"), words);
  $("ask-error").hidden = words === "";
  update($("ask-answer"), answer.slice(0, ANSWER_SHOWN));
  $("ask-answer").hidden = answer === "";
}

function askToken(wanted) {
  $("ask-token-field").hidden = !wanted;
  $("ask-token").required = wanted;
  $("ask-token").value = "";
  if (wanted && $("ask").open) $("ask-token").focus();
}

function open(kind) {
  const texts = textsOf(kind);
  dialog = kind;
  update($("ask-title"), texts.title);
  update($("ask-text"), texts.text);
  update($("ask-yes"), texts.yes);
  update($("ask-command"), command(isPaused() ? "resume" : "pause"));
  $("ask-command").hidden = kind !== "help";
  $("ask-no").hidden = kind === "help";
  $("ask-yes").classList.toggle("danger", kind === "pause");
  showError("", "");
  $("ask").showModal();
  askToken(kind !== "help" && storedToken() === "");
  if (kind === "help") $("ask-yes").focus();
  else if (storedToken() !== "") $("ask-no").focus();
}

/* {message, command} of an answer, which is JSON or words. */
async function wordsOf(answer) {
  const text = await answer.text();
  try {
    const value = JSON.parse(text);
    return {
      message: String(value.error ?? value.message ?? value.words ?? value.detail ?? ""),
      command: String(value.command ?? ""),
    };
  } catch {
    return {message: text.trim(), command: ""};
  }
}

/* What to say about an answer that is no success. */
async function refusal(answer, kind) {
  const said = await wordsOf(answer);
  if (answer.status === 401) {
    storeToken("");
    askToken(true);
    return ["The token is wrong.", ""];
  }
  if (answer.status === 429) return [said.message || "Too many tries: wait a second.", ""];
  const instead = said.command || command(kind);
  return [`The queue was not ${kind === "pause" ? "paused" : "resumed"} (HTTP status ${answer.status}). ` +
    "What was said, and what to run instead:",
  [said.message.slice(0, ANSWER_SHOWN - 300), said.message.includes(instead) ? "" : instead]
    .filter(Boolean).join("\n\n")];
}

async function send(kind) {
  const token = storedToken() || $("ask-token").value.trim();
  /* Other characters cannot be in a header. */
  if (!/^[\x21-\x7e]+$/.test(token)) {
    showError("The token is wrong.", "");
    $("ask-token").focus();
    return;
  }
  let answer;
  try {
    answer = await fetch(`control/${kind}`, {
      method: "POST",
      headers: {Authorization: `Bearer ${token}`},
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    showError("The admin port does not answer: whether it was done will be seen here.", "");
    return;
  }
  if (!answer.ok) {
    showError(...await refusal(answer, kind));
    return;
  }
  storeToken(token);
  asked = {paused: kind === "pause", at: Date.now()};
  $("ask").close();
  showControl(status);
}

async function submitted(event) {
  event.preventDefault();
  if (dialog === "help") {
    $("ask").close();
    return;
  }
  showError("", "");
  $("ask-yes").disabled = true;
  try {
    await send(dialog);
  } finally {
    $("ask-yes").disabled = false;
  }
}

export function showControl(latest) {
  const button = $("control-open");
  status = latest;
  if (asked && (asked.paused === isPaused() || Date.now() - asked.at > 120000)) asked = null;
  button.disabled = status === null;
  update(button, !isWritable() ? "Read-only" : isPaused() ? "Resume…" : "Pause…");
  button.classList.toggle("quiet", !isWritable());
  button.classList.toggle("primary", isWritable() && isPaused());
  update($("control-note"), asked
    ? `${asked.paused ? "Pause" : "Resume"} asked for at ${clock(asked.at, Date.now())}; workers take ` +
      "it over within half a minute."
    : "");
}

export function openControl() {
  $("control-open").addEventListener("click", () =>
    open(!isWritable() ? "help" : isPaused() ? "resume" : "pause"));
  $("ask-no").addEventListener("click", () => $("ask").close());
  $("ask-form").addEventListener("submit", submitted);
  /* It comes later than the end of the dialog; by then there may be the next. */
  $("ask").addEventListener("close", () => {
    if (!$("ask").open) $("ask-token").value = "";
  });
}
