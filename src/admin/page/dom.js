/* Elements. What comes from the server gets into the page as text only. */

export const $ = (id) => document.getElementById(id);

/* What a table says of a name that came from outside: never what objects have by themselves. */
export const pick = (table, name, otherwise) => Object.hasOwn(table, name) ? table[name] : otherwise;

/* node("td", {class: "n"}, "12"): an element; strings become text, functions listeners. */
export function node(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/* Only what differs is written, so that a selection stays and nothing is laid out for nothing. */
export function update(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/*
 * Rows of `body` for `items`, in their order. A row is kept from one call to the next by its key, so
 * that the focus stays where it is. make(item) gives {elements: [...], ...}; fill(row, item).
 */
export function keyed(body, items, keyOf, make, fill) {
  const rows = body.keyedRows || (body.keyedRows = new Map());
  const wanted = new Map();
  for (const item of items) {
    let key = keyOf(item);
    while (wanted.has(key)) key += " ";
    wanted.set(key, item);
  }
  for (const [key, row] of rows) {
    if (wanted.has(key)) continue;
    for (const element of row.elements) element.remove();
    rows.delete(key);
  }
  let place = 0;
  for (const [key, item] of wanted) {
    let row = rows.get(key);
    if (!row) rows.set(key, row = make(item));
    fill(row, item);
    for (const element of row.elements) {
      if (body.children[place] !== element) body.insertBefore(element, body.children[place] || null);
      place++;
    }
  }
}

const SVG = "http://www.w3.org/2000/svg";

/* Symbols of a state, in a box of 16 by 16; words always stand beside them. */
export const SYMBOLS = {
  ok: "M3.5 8.5l3 3 6-7",
  degraded: "M8 3.2v6M8 12.2v.6",
  failed: "M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6",
  paused: "M5.7 4v8M10.3 4v8",
  neutral: "M4 8h8",
};

export function symbol(kind) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "symbol");
  path.setAttribute("d", SYMBOLS[kind]);
  svg.append(path);
  return svg;
}

/* A word with its symbol and colour: the kinds are those of SYMBOLS. */
export function badge() {
  return node("span", {class: "badge"});
}

export function setBadge(element, kind, word) {
  if (element.dataset.kind === kind && element.textContent === word) return;
  element.dataset.kind = kind;
  element.replaceChildren(symbol(kind), word);
}
