// Elements out of names, attributes and texts. Data never becomes markup: a
// child is an element or a text.

const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// An element of HTML.
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// An element of SVG.
export function s(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// Says something to those who listen rather than look.
export function tell(text) {
  document.getElementById("status").textContent = text;
}

// The same function, called once when calls have stopped for a while.
export function settled(work, milliseconds = 250) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}

// A table with titles that say what stands below; `columns` are
// { title, kind, hint }, where kind holds classes.
export function table(caption, columns, rows, kind = "") {
  const titles = columns.map((column) => h("th", { scope: "col", class: column.kind, title: column.hint }, column.title));
  return h(
    "table",
    { class: kind },
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, titles)),
    h("tbody", null, rows),
  );
}

// A table on a sheet of its own; where it is wider than the window the arrow
// keys move it.
export const sheet = (name, made) => h("div", { class: "sheet", tabindex: "0", role: "group", "aria-label": name }, made);

// Pairs of a term and what is said of it; those without are left out.
export function facts(pairs, kind = "facts") {
  const said = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: kind }, said.map(([term, value]) => [h("dt", null, term), h("dd", null, value)]));
}

// Says that there is nothing here, and leads to where there is something.
export function nothingHere(text, path, name) {
  return h("section", { class: "note", id: "nothing" }, h("h1", null, text), h("p", null, h("a", { href: path }, name)));
}

// A choice of one value out of some.
export function choice(label, options, chosen, changed, attributes = {}) {
  const list = options.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  return h("label", { class: "field" }, h("span", null, label), h("select", { ...attributes, onchange: (event) => changed(event.target.value) }, list));
}

// Text that people or the daemon wrote, as it is: English whatever the page's
// language is. What only the daemon writes is shown by told.js.
export function said(text, name = "span", attributes = {}) {
  return h(name, { lang: "en", ...attributes }, text);
}
