/* What was: the samples of /history.json, and the three charts of them, drawn by Chart.js. */

import {$, node, setAttribute, update} from "./dom.js";
import {
  axisTime, compact, count, isNumber, milliseconds, perSecond, sampleTime, UNKNOWN,
} from "./format.js";

export const SHOWN_MS = 15 * 60 * 1000;
const MINUTE_MS = 60000;
/* A process that has just started has a short past, which would be a line at the edge. */
const SHOWN_LEAST_MS = 2 * MINUTE_MS;
const TICKS_MS = [15000, 30000, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS];
const TICKS_MAX = 4;

/* Samples of the last 15 minutes, oldest first: {t_ms, accepted, ...}. */
export const history = {rows: [], now: 0};

export const newest = () => history.rows.length ? history.rows.at(-1).t_ms : 0;

export function forget() {
  history.rows = [];
}

export function merge(answer) {
  const columns = answer.columns;
  for (const values of answer.rows) {
    const row = {};
    columns.forEach((name, index) => { row[name] = isNumber(values[index]) ? values[index] : null; });
    if (row.t_ms !== null && row.t_ms > newest()) history.rows.push(row);
  }
  history.now = answer.now_ms;
  const first = history.rows.findIndex((row) => row.t_ms > history.now - SHOWN_MS);
  if (first > 0) history.rows.splice(0, first);
  if (first < 0) forget();
}

/*
 * The charts. A series has a column, a colour (a custom property of the style sheet) and a dash, so
 * that lines differ by more than colour. `gap_ms` is over how much that is unknown a line goes on.
 */
const LATENCIES = {
  attempt: [
    {name: "p50", column: "attempt_p50_ms", colour: "--line-1", dash: []},
    {name: "p95", column: "attempt_p95_ms", colour: "--line-2", dash: [6, 3]},
    {name: "p99", column: "attempt_p99_ms", colour: "--line-3", dash: [2, 2]},
  ],
  acceptance: [
    {name: "p50", column: "acceptance_p50_ms", colour: "--line-1", dash: []},
    {name: "p99", column: "acceptance_p99_ms", colour: "--line-3", dash: [2, 2]},
  ],
};

const CHARTS = [
  {
    id: "throughput", title: "Throughput, messages a second", unit: perSecond, axis: compact,
    gap_ms: 2500,
    series: [
      {name: "accepted", column: "accepted", colour: "--line-1", dash: [], fill: true},
      {name: "retried", column: "retried", colour: "--line-2", dash: [6, 3]},
      {name: "failed", column: "failed", colour: "--line-3", dash: [2, 2]},
    ],
  },
  {
    id: "latency", title: "Latency", unit: milliseconds, axis: milliseconds, gap_ms: 2500,
    series: LATENCIES.attempt,
  },
  {
    id: "backlog", title: "Backlog, messages in the queue", unit: count, axis: compact,
    gap_ms: 130000,
    series: [
      {name: "waiting", column: "visible", colour: "--line-1", dash: [], fill: true},
      {name: "in flight", column: "in_flight", colour: "--line-2", dash: [6, 3]},
    ],
  },
];

const made = [];

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function colours() {
  const text = styleOf("--soft"), grid = styleOf("--hairline");
  return {text, grid, card: styleOf("--card"), ink: styleOf("--text"), line: styleOf("--line")};
}

function datasetOf(series) {
  const colour = styleOf(series.colour);
  return {
    label: series.name,
    data: [],
    borderColor: colour,
    backgroundColor: series.fill ? `${colour}22` : colour,
    fill: series.fill ? "origin" : false,
    borderDash: series.dash,
    borderWidth: 1.75,
    borderJoinStyle: "round",
    pointRadius: 0,
    pointHoverRadius: 3.5,
    pointHoverBackgroundColor: colour,
  };
}

function axisOf(shown) {
  return {
    grid: {color: shown.grid, drawBorder: false, tickLength: 0},
    ticks: {color: shown.text, font: {size: 11, family: styleOf("--font")}, padding: 6, maxRotation: 0},
  };
}

function optionsOf(chart) {
  const shown = colours();
  const x = axisOf(shown), y = axisOf(shown);

  Object.assign(x, {type: "linear", min: 0, max: 1});
  x.grid.display = false;
  x.afterBuildTicks = (scale) => {
    const span = scale.max - scale.min;
    const step = TICKS_MS.find((tick) => span / tick <= TICKS_MAX) || TICKS_MS.at(-1);
    scale.ticks = [];
    for (let t = Math.ceil(scale.min / step) * step; t <= scale.max; t += step)
      scale.ticks.push({value: t});
  };
  x.ticks.callback = (value) => value % MINUTE_MS === 0 ? axisTime(value) : sampleTime(value);
  Object.assign(y, {beginAtZero: true, suggestedMax: 1});
  Object.assign(y.ticks, {maxTicksLimit: 5, precision: 0, callback: (value) => chart.axis(value)});
  return {
    animation: false,
    parsing: false,
    normalized: true,
    responsive: true,
    maintainAspectRatio: false,
    spanGaps: chart.gap_ms,
    interaction: {mode: "index", axis: "x", intersect: false},
    scales: {x, y},
    plugins: {
      legend: {display: false},
      tooltip: {
        animation: false,
        backgroundColor: shown.card,
        borderColor: shown.line,
        borderWidth: 1,
        titleColor: shown.ink,
        bodyColor: shown.ink,
        titleFont: {family: styleOf("--font"), size: 12},
        bodyFont: {family: styleOf("--font"), size: 12},
        padding: 8,
        boxWidth: 10,
        boxHeight: 2,
        boxPadding: 4,
        callbacks: {
          title: (items) => items.length ? sampleTime(items[0].parsed.x) : "",
          label: (item) => `${item.dataset.label} ${chart.unit(item.parsed.y)}`,
        },
      },
    },
  };
}

function legendOf(view) {
  const legend = $(`${view.chart.id}-legend`);
  view.values = view.chart.series.map(() => node("span", {class: "value"}, UNKNOWN));
  legend.replaceChildren(...view.chart.series.map((series, index) => node("li", {},
    node("span", {class: `swatch ${series.colour.slice(2)}`, "aria-hidden": "true"}),
    node("span", {class: "name"}, series.name), view.values[index])));
}

function setSeries(view, series) {
  view.chart.series = series;
  view.drawn.data.datasets = series.map(datasetOf);
  legendOf(view);
  draw(view);
}

/* What a reader of the screen hears of a chart. */
function wordsOf(view) {
  const {chart} = view;
  const parts = chart.series.map((series) => {
    const values = history.rows.map((row) => row[series.column]).filter((value) => value !== null);
    if (values.length === 0) return `${series.name} unknown`;
    const last = values.at(-1), top = values.reduce((a, b) => Math.max(a, b));
    return `${series.name} ${chart.unit(last)}, at most ${chart.unit(top)}`;
  });
  return `${chart.title}, last 15 minutes: ${parts.join("; ")}. ` +
    "Left and right arrow keys read single samples.";
}

function draw(view) {
  const {chart, drawn} = view;

  chart.series.forEach((series, index) => {
    drawn.data.datasets[index].data = history.rows.map((row) =>
      ({x: row.t_ms, y: row[series.column] === null ? NaN : row[series.column]}));
    const last = history.rows.findLast((row) => row[series.column] !== null);
    update(view.values[index],
      last && last.t_ms > history.now - chart.gap_ms ? chart.unit(last[series.column]) : UNKNOWN);
  });
  drawn.options.scales.x.min = Math.max(history.now - SHOWN_MS,
    Math.min(history.now - SHOWN_LEAST_MS, history.rows.length ? history.rows[0].t_ms : history.now));
  drawn.options.scales.x.max = history.now;
  if (view.pointed !== null) point(view, view.pointed, false);
  drawn.update("none");
  if (!view.described || history.now - view.described > 10000 || history.now < view.described) {
    view.described = history.now;
    setAttribute(view.plot, "aria-label", wordsOf(view));
  }
  if (view.table.open) fillTable(view);
}

/* A sample that the keyboard has chosen, by its time. */
function point(view, t, spoken) {
  const index = history.rows.findIndex((row) => row.t_ms >= t);
  const row = history.rows[index];
  view.pointed = row ? row.t_ms : null;
  const active = row ? view.chart.series
    .map((series, datasetIndex) => ({series, datasetIndex, index}))
    .filter(({series}) => row[series.column] !== null) : [];
  view.drawn.setActiveElements(active);
  view.drawn.tooltip.setActiveElements(active, {x: 0, y: 0});
  if (spoken && row)
    update(view.spoken, `${sampleTime(row.t_ms)}: ${view.chart.series.map((series) =>
      `${series.name} ${view.chart.unit(row[series.column])}`).join(", ")}`);
}

function pressed(view, event) {
  const rows = history.rows;
  if (event.key === "Escape") {
    unpoint(view);
    return;
  }
  const steps = {ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60, Home: -1e9, End: 1e9};
  if (!(event.key in steps) || rows.length === 0) return;
  event.preventDefault();
  const from = view.pointed === null ? rows.length
    : rows.findIndex((row) => row.t_ms >= view.pointed);
  const to = Math.max(0, Math.min(rows.length - 1, from + steps[event.key]));
  point(view, rows[to].t_ms, true);
  view.drawn.update("none");
}

function unpoint(view) {
  if (view.pointed === null) return;
  view.pointed = null;
  view.drawn.setActiveElements([]);
  view.drawn.tooltip.setActiveElements([], {x: 0, y: 0});
  view.drawn.update("none");
}

/* The same as text: a line a minute, the mean of its seconds. */
function fillTable(view) {
  const minutes = new Map();
  for (const row of history.rows) {
    const at = Math.floor(row.t_ms / MINUTE_MS) * MINUTE_MS;
    if (!minutes.has(at)) minutes.set(at, []);
    minutes.get(at).push(row);
  }
  const mean = (rows, column) => {
    const values = rows.map((row) => row[column]).filter((value) => value !== null);
    return values.length ? values.reduce((a, b) => a + b) / values.length : null;
  };
  const body = view.table.querySelector("tbody"), head = view.table.querySelector("thead");
  head.replaceChildren(node("tr", {}, node("th", {scope: "col"}, "Minute"),
    ...view.chart.series.map((series) => node("th", {scope: "col", class: "n"}, series.name))));
  body.replaceChildren(...[...minutes].reverse().map(([at, rows]) => node("tr", {},
    node("th", {scope: "row"}, axisTime(at)),
    ...view.chart.series.map((series) =>
      node("td", {class: "n"}, view.chart.unit(mean(rows, series.column)))))));
}

export function drawAll() {
  made.forEach(draw);
}

/* Colours are read from the style sheet again: the theme has changed. */
function restyle() {
  for (const view of made) {
    view.drawn.options = optionsOf(view.chart);
    view.drawn.data.datasets = view.chart.series.map(datasetOf);
    draw(view);
  }
}

function open(chart) {
  const plot = $(`${chart.id}-plot`);
  const view = {
    chart, plot, pointed: null, described: 0,
    spoken: $(`${chart.id}-spoken`), table: $(`${chart.id}-table`),
  };
  view.drawn = new Chart(plot.querySelector("canvas"), {
    type: "line",
    data: {datasets: chart.series.map(datasetOf)},
    options: optionsOf(chart),
  });
  plot.addEventListener("keydown", (event) => pressed(view, event));
  plot.addEventListener("blur", () => unpoint(view));
  view.table.addEventListener("toggle", () => { if (view.table.open) fillTable(view); });
  legendOf(view);
  made.push(view);
}

export function openCharts() {
  CHARTS.forEach(open);
  const latency = made.find((view) => view.chart.id === "latency");
  for (const input of document.querySelectorAll("input[name=latency-of]"))
    input.addEventListener("change", () => setSeries(latency, LATENCIES[input.value]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
}
