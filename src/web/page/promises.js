// What a tenant is promised: how far each promise is kept, what is left of its
// error budget, and how fast that is spent.

import { h, s, sheet, table } from "./dom.js";
import { NOTHING, percent, plain, share, whole } from "./format.js";
import { t, word } from "./words.js";

const DAY = 86400;

const isQuota = (promise) => typeof promise.objective === "object";

function what(promise) {
  if (isQuota(promise)) return t("promises.quota", { resource: word("resource", promise.objective.quota) });
  return promise.objective === "latency" ? t("promises.latency") : t("promises.availability");
}

// What is left of a budget, as a bar; nothing is left of one that is overspent.
function left(promise) {
  if (promise.budget_left === null) return NOTHING;
  const width = Math.max(0, Math.min(1, promise.budget_left)) * 80;
  return [
    s("svg", { class: "budget", viewBox: "0 0 80 8", width: 80, height: 8, "aria-hidden": "true" }, s("rect", { class: promise.breach ? "part rolled_back" : "part applied", width, height: 8 })),
    share(promise.budget_left, 0),
  ];
}

function row(promise) {
  const number = (value, kind = "") => h("td", { class: `number ${kind}` }, value);
  const state = promise.breach || (promise.good === null ? "unmeasured" : "kept");
  const kind = promise.breach ? "bad" : "";
  return h("tr", null,
    h("th", { scope: "row" }, what(promise), h("small", { class: `narrow ${kind}` }, word("promise", state))),
    number(percent(promise.target), "mid"),
    number(promise.good === null ? NOTHING : percent(promise.good)),
    h("td", { class: "number" }, left(promise)),
    promise.burn.map((burn) => number(burn.rate === null ? NOTHING : plain(burn.rate), burn.rate > burn.limit ? "mid bad" : "mid")),
    h("td", { class: `mid ${kind}` }, word("promise", state)));
}

// One line on all promises, which leads to them.
export function promisesInShort(promises) {
  const measured = promises.filter((one) => one.good !== null);
  if (!measured.length) return null;
  const kept = measured.filter((one) => !one.breach).length;
  const text = t("promises.short", { kept: whole(kept), count: whole(measured.length) });
  const jump = (event) => {
    event.preventDefault();
    document.getElementById("promises").scrollIntoView();
  };
  return h("p", { class: kept < measured.length ? "note severity-warning" : "quiet" }, h("a", { href: "#promises", onclick: jump }, text));
}

export function promisesOf(promises) {
  if (!promises.length) return null;
  const [first] = promises;
  const burns = first.burn.map((burn) => [t("promises.burn", { hours: whole(burn.window_seconds / 3600) }), "number mid"]);
  const titles = [[t("promises.what"), ""], [t("promises.target"), "number mid"], [t("promises.good"), "number"], [t("promises.left"), "number"], ...burns, [t("promises.state"), "mid"]];
  return h("section", { "aria-labelledby": "promises" },
    h("h2", { id: "promises" }, t("promises.title")),
    h("p", { class: "quiet" }, t("promises.text", { days: whole(first.period_seconds / DAY) }), promises.some((one) => one.objective === "availability") ? "" : ` ${t("promises.no_availability")}`),
    sheet(t("promises.title"), table(t("promises.title"), titles.map(([title, kind]) => ({ title, kind })), promises.map(row), "rows")));
}
