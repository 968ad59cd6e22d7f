// Charts as SVG: a small line for a table, and one over time with axes, quota
// steps, a forecast's fan, and a reading of the values below the pointer.

import { area, line, roundMarks, scale, steps, thinned, timeMarks } from "./axes.js";
import { h, s } from "./dom.js";
import { plain, tick, when } from "./format.js";
import { t } from "./words.js";

// A line of usage below the line of its quota. A picture that says in words
// what it shows.
export function sparkline({ values, limit, label, width = 132, height = 30 }) {
  const known = values.filter((value) => value !== null);
  const top = Math.max(limit || 0, ...known) * 1.06 || 1;
  const x = scale([0, Math.max(1, values.length - 1)], [1, width - 1]);
  const y = scale([0, top], [height - 1, 1]);
  const points = values.map((value, at) => ({ at, value }));
  const floor = points.map((point) => ({ at: point.at, low: point.value === null ? null : 0, high: point.value }));
  return s(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    s("path", { class: "floor", d: area(floor, x, y) }),
    s("path", { class: "usage", d: line(points, x, y) }),
    limit ? s("path", { class: "quota", d: `M1 ${y(limit).toFixed(1)}H${width - 1}` }) : null,
  );
}

// A picture that is drawn anew for each width that it gets, so that its texts
// keep their size.
export function fluid(height, label, draw, attributes = {}) {
  const picture = s("svg", { class: "chart", role: "img", "aria-label": label, ...attributes });
  const box = h("div", { class: "fluid" }, picture);
  new ResizeObserver(() => {
    const width = Math.max(280, Math.round(box.clientWidth || 800));
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.setAttribute("width", width);
    picture.setAttribute("height", height);
    picture.replaceChildren(...draw(width));
  }).observe(box);
  return box;
}

const PAD = { left: 52, right: 12, top: 10, bottom: 24 };

function highest(given) {
  const tops = [0];
  for (const one of [...(given.lines || []), ...(given.steps || [])]) for (const point of one.points) tops.push(point.value ?? 0);
  for (const one of given.bands || []) for (const point of one.points) tops.push(point.high ?? 0);
  for (const one of given.levels || []) tops.push(one.value);
  for (const one of given.marks || []) tops.push(one.value ?? 0);
  return tops.reduce((most, value) => Math.max(most, value), 0) * 1.06 || 1;
}

function grid(given, x, y, width, height, top) {
  const parts = [];
  for (const mark of roundMarks(0, top, Math.max(2, Math.floor(height / 52)))) {
    parts.push(s("path", { class: "grid", d: `M${PAD.left} ${y(mark).toFixed(1)}H${width - PAD.right}` }));
    parts.push(s("text", { class: "axis", x: PAD.left - 7, y: y(mark) + 4, "text-anchor": "end" }, plain(mark)));
  }
  const { marks, areDays } = timeMarks(given.from, given.to, Math.max(2, Math.floor(width / 90)));
  for (const mark of marks) {
    const place = x(mark);
    if (place > width - PAD.right - 14 || place < PAD.left + 4) continue;
    parts.push(s("path", { class: "tick", d: `M${place.toFixed(1)} ${height - PAD.bottom}v4` }));
    parts.push(s("text", { class: "axis", x: place, y: height - 6, "text-anchor": "middle" }, tick(mark, areDays)));
  }
  parts.push(s("path", { class: "base", d: `M${PAD.left} ${height - PAD.bottom}H${width - PAD.right}` }));
  return parts;
}

function drawing(given, width, height) {
  const top = given.top || highest(given);
  const x = scale([given.from, given.to], [PAD.left, width - PAD.right]);
  const y = scale([0, top], [height - PAD.bottom, PAD.top]);
  const inside = (points) => points.filter((point) => point.at >= given.from && point.at <= given.to);
  const parts = [];
  for (const span of given.spans || []) {
    const [from, to] = [Math.max(x(span.from), PAD.left), Math.min(x(span.to), width - PAD.right)];
    if (to > from) parts.push(s("rect", { class: `span ${span.kind}`, x: from, y: PAD.top, width: to - from, height: height - PAD.top - PAD.bottom }));
  }
  parts.push(...grid(given, x, y, width, height, top));
  for (const band of given.bands || []) parts.push(s("path", { class: `band ${band.kind}`, d: area(inside(band.points), x, y) }));
  for (const one of given.lines || []) {
    parts.push(s("path", { class: `line ${one.kind}`, d: line(thinned(inside(one.points), x, width), x, y) }));
  }
  for (const one of given.steps || []) parts.push(s("path", { class: `line ${one.kind}`, d: steps(one.points, one.until, x, y) }));
  for (const one of given.levels || []) {
    const from = x(Math.max(one.from ?? given.from, given.from));
    parts.push(s("path", { class: `line ${one.kind}`, d: `M${from.toFixed(1)} ${y(one.value).toFixed(1)}H${width - PAD.right}` }));
  }
  if (given.now && given.now < given.to) {
    parts.push(s("path", { class: "now", d: `M${x(given.now).toFixed(1)} ${PAD.top}V${height - PAD.bottom}` }));
    parts.push(s("text", { class: "axis", x: x(given.now) + 5, y: PAD.top + 10 }, t("chart.now")));
  }
  for (const mark of inside(given.marks || [])) {
    if (mark.value !== null) parts.push(s("circle", { class: `mark ${mark.kind || "odd"}`, cx: x(mark.at), cy: y(mark.value), r: 3.2 }));
  }
  const pointer = s("path", { class: "pointer", d: "" });
  parts.push(pointer);
  return { parts, x, pointer };
}

function nearest(points, at) {
  let [low, high] = [0, points.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].at < at) low = middle + 1;
    else high = middle;
  }
  const before = points[low - 1];
  return before && at - before.at < points[low].at - at ? before : points[low];
}

// What is known at an instant, in words.
function reading(given, at) {
  const said = [];
  for (const one of given.lines || []) {
    const inside = one.points.length && at >= one.points[0].at && at <= one.points[one.points.length - 1].at;
    const point = inside ? nearest(one.points, at) : null;
    if (point && point.value !== null) said.push(`${one.name} ${plain(point.value)}`);
  }
  for (const band of given.bands || []) {
    const inside = band.points.length && at >= band.points[0].at && at <= band.points[band.points.length - 1].at;
    const point = inside ? nearest(band.points, at) : null;
    if (point && point.low !== null) said.push(`${band.name} ${plain(point.low)} … ${plain(point.high)}`);
  }
  for (const one of given.steps || []) {
    const held = one.points.filter((point) => point.at <= at).pop();
    if (held && at <= one.until) said.push(`${one.name} ${plain(held.value)}`);
  }
  for (const one of given.levels || []) said.push(`${one.name} ${plain(one.value)}`);
  return `${when(at)} · ${said.join(" · ")} ${said.length ? given.unit : ""}`;
}

function legend(given) {
  const all = [...(given.lines || []), ...(given.steps || []), ...(given.bands || []), ...(given.levels || []), ...(given.legend || [])];
  const key = (one) => s("svg", { class: "key", viewBox: "0 0 22 10", width: 22, height: 10, "aria-hidden": "true" }, keyShape(one, given));
  return h("ul", { class: "legend" }, all.map((one) => h("li", null, key(one), one.name)));
}

function keyShape(one, given) {
  if ((given.bands || []).includes(one)) return s("rect", { class: `band ${one.kind}`, x: 0, y: 0, width: 22, height: 10 });
  if (one.shape === "dot") return s("circle", { class: `mark ${one.kind}`, cx: 11, cy: 5, r: 3.2 });
  if (one.shape === "span") return s("rect", { class: `span ${one.kind}`, x: 0, y: 0, width: 22, height: 10 });
  return s("path", { class: `line ${one.kind}`, d: "M0 5H22" });
}

// A chart over time in a figure: its legend, the picture, and what the pointer
// or the arrow keys point at. Gives the figure and what draws it anew.
export function timeChart(first, height = 300) {
  let given = first;
  let drawn = null;
  let at = null;
  const picture = s("svg", { class: "chart", role: "img", tabindex: "0" });
  const read = h("p", { class: "reading", "aria-live": "polite" });
  const keys = h("div");
  const figure = h("figure", { class: "chart-box" }, keys, picture, read);

  const draw = () => {
    const width = Math.max(280, Math.round(figure.clientWidth || 800));
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.setAttribute("width", width);
    picture.setAttribute("height", height);
    picture.setAttribute("aria-label", given.label);
    drawn = { ...drawing(given, width, height), width };
    picture.replaceChildren(...drawn.parts);
    keys.replaceChildren(legend(given));
    point(at);
  };
  const point = (wanted) => {
    at = wanted;
    const place = at === null ? null : drawn.x(at).toFixed(1);
    drawn.pointer.setAttribute("d", place === null ? "" : `M${place} ${PAD.top}V${height - PAD.bottom}`);
    read.textContent = at === null ? given.hint || t("chart.hint") : reading(given, at);
  };
  picture.addEventListener("pointermove", (event) => {
    const pixel = ((event.clientX - picture.getBoundingClientRect().left) / picture.getBoundingClientRect().width) * drawn.width;
    point(Math.min(given.to, Math.max(given.from, drawn.x.back(pixel))));
  });
  picture.addEventListener("pointerleave", () => point(null));
  picture.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const step = (given.to - given.from) / 100;
    point(Math.min(given.to, Math.max(given.from, (at ?? given.now ?? given.to) + move * step)));
  });
  new ResizeObserver(draw).observe(figure);
  draw();
  return {
    figure,
    redraw: (next) => {
      given = next;
      draw();
    },
  };
}
