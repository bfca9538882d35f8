/* Numbers as the reader writes them, times as the reader's clock shows them. Unknown is null. */

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat(undefined, {maximumFractionDigits: 0});
const tenths = new Intl.NumberFormat(undefined, {maximumFractionDigits: 1});
const short = new Intl.NumberFormat(undefined, {notation: "compact", maximumFractionDigits: 1});
const percent = new Intl.NumberFormat(undefined, {style: "percent", maximumFractionDigits: 1});
const percentFine = new Intl.NumberFormat(undefined, {style: "percent", maximumFractionDigits: 3});
const cents = new Intl.NumberFormat(undefined, {style: "currency", currency: "USD"});
const centsFine = new Intl.NumberFormat(undefined, {
  style: "currency", currency: "USD", maximumFractionDigits: 4,
});
const time = new Intl.DateTimeFormat(undefined, {timeStyle: "medium"});
const minute = new Intl.DateTimeFormat(undefined, {timeStyle: "short"});
const dateAndTime = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});
const full = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "long"});

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const known = (format) => (value) => isNumber(value) ? format(value) : UNKNOWN;

export const count = known((value) => whole.format(value));
export const compact = known((value) => short.format(value));
export const rate = known((value) => (value < 100 ? tenths : whole).format(value));
export const perSecond = known((value) => `${rate(value)}/s`);
export const money = known((value) => (value > 0 && value < 1 ? centsFine : cents).format(value));

/* 1250: "1,250 ms"; 12500: "12.5 s" */
export const milliseconds = known((value) =>
  value < 10000 ? `${whole.format(value)} ms` : `${tenths.format(value / 1000)} s`);

export const bytes = known((value) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power++;
  }
  return `${(value < 10 && power > 0 ? tenths : whole).format(value)} ${units[power]}`;
});

export function share(part, all) {
  if (!isNumber(part) || !isNumber(all) || all <= 0) return UNKNOWN;
  const value = part / all;
  /* 999,999 of a million are not 100 %. */
  const fine = (value > 0 && value < 0.001) || (value < 1 && value > 0.999);
  return (fine ? percentFine : percent).format(value);
}

/* 93784 s: "1 d 2 h" */
export function span(ms) {
  if (!isNumber(ms)) return UNKNOWN;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([unit]) => seconds >= unit);
  if (first < 0) return "0 s";
  const [unit, name] = parts[first];
  const rest = parts[first + 1] && Math.floor((seconds % unit) / parts[first + 1][0]);
  return `${whole.format(Math.floor(seconds / unit))} ${name}` +
    (rest ? ` ${rest} ${parts[first + 1][1]}` : "");
}

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/* Of today: the time; of another day: with the date. */
export function clock(ms, now) {
  if (!isNumber(ms)) return UNKNOWN;
  return sameDay(ms, now) ? time.format(ms) : dateAndTime.format(ms);
}

export function clockMinute(ms, now) {
  if (!isNumber(ms)) return UNKNOWN;
  return sameDay(ms, now) ? minute.format(ms) : dateAndTime.format(ms);
}

export const fullTime = known((value) => full.format(value));
export const axisTime = (ms) => minute.format(ms);
export const sampleTime = (ms) => time.format(ms);

/* "in 4 min 10 s", "12 s ago", "now" */
export function relative(ms, now) {
  if (!isNumber(ms)) return "";
  if (ms >= now + 1000) return `in ${span(ms - now)}`;
  return ms > now - 1000 ? "now" : `${span(now - ms)} ago`;
}

export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;
