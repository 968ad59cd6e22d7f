// The fleet: every tenant beside what it costs, what it would save, and what is
// wrong with it. The server sorts, filters and pages, so that the page is as
// quick with ten thousand tenants as with ten.

import { get, query } from "./api.js";
import { sparkline } from "./chart.js";
import { choice, h, settled } from "./dom.js";
import { NOTHING, amount, fixed, plain, round, share, unitOf, when, whole } from "./format.js";
import { pauseButton, pauseNote } from "./pause.js";
import { staleNote } from "./stale.js";
import { count, t, word } from "./words.js";

const PAGE = 50;
const REFRESH = 60e3;
const TIERS = ["FREE", "STANDARD", "PREMIUM", "ENTERPRISE", "ENTERPRISE_PLUS", "WHITE_LABEL"];
const MODES = ["observe", "review", "approved"];
const ONLY = ["waiting", "incident", "over_budget"];

// What is asked for stands in the address, so that a view can be shared.
function asked(search) {
  const from = (name) => search.get(name) || "";
  return {
    search: from("search"),
    tier: from("tier"),
    mode: from("mode"),
    only: from("only"),
    resource: from("resource"),
    sort: from("sort") || "saving",
    descending: from("order") !== "up",
    from: Number(from("from")) || 0,
  };
}

function address(view) {
  const { descending, from, ...rest } = view;
  return `/${query({ ...rest, order: descending ? "" : "up", from: from || "" })}`;
}

const figure = (value, name, detail, kind = "") => h("div", { class: `figure ${kind}` }, h("span", null, name), h("b", null, value), detail ? h("small", null, detail) : null);

function figures(totals) {
  const saving = totals.saving ? Number(totals.saving.amount) : 0;
  const part = totals.cost_now && Number(totals.cost_now.amount) > 0 ? saving / Number(totals.cost_now.amount) : null;
  return h("section", { class: "figures", "aria-label": t("fleet.figures") },
    figure(whole(totals.tenants), t("fleet.tenants")),
    figure(round(totals.cost_now), t("fleet.cost_now")),
    figure(round(totals.cost_recommended), t("fleet.cost_recommended")),
    figure(round(totals.saving), t("fleet.saving"), part === null ? "" : share(part), "lead"),
    figure(whole(totals.waiting), t("fleet.waiting")),
    figure(whole(totals.over_budget), t("fleet.over_budget"), "", totals.over_budget ? "warn" : ""),
    figure(whole(totals.incidents), t("fleet.incidents"), "", totals.incidents ? "warn" : ""),
  );
}

// What has to happen for the saving to become true.
function effort(totals) {
  if (!totals.waiting) return h("p", { class: "quiet" }, t("fleet.no_effort"));
  const parts = MODES.filter((mode) => totals.waiting_by_mode[mode]).map((mode) => count(`effort.${mode}`, totals.waiting_by_mode[mode], whole(totals.waiting_by_mode[mode])));
  if (totals.waiting_in_incidents) parts.push(count("effort.held", totals.waiting_in_incidents, whole(totals.waiting_in_incidents)));
  return h("p", { class: "effort" }, h("b", null, t("fleet.effort")), " ", parts.join(" "));
}

const COLUMNS = [
  ["tenant", "tenant", ""],
  ["spark", null, "wide"],
  ["used", "used", "number"],
  ["slack", "slack", "number mid"],
  ["violations", "violations", "number mid"],
  ["cost", "cost", "number wide"],
  ["recommended", null, "number wide"],
  ["saving", "saving", "number"],
  ["confidence", "confidence", "number wide"],
  ["mode", null, "wide"],
  ["incident", "incident", "mid"],
];

function incidentCell(open) {
  if (!open) return h("td", { class: "mid quiet" }, NOTHING);
  return h("td", { class: "mid" }, h("a", { href: `/incidents/${open.id}`, class: `severity ${open.severity}` }, word("severity", open.severity)), open.state === "acknowledged" ? h("small", null, word("state", open.state)) : null);
}

function savingCell(one) {
  if (!one.waiting || !one.saving) return h("td", { class: "number quiet" }, NOTHING);
  const value = Number(one.saving.amount);
  return h("td", { class: value < 0 ? "number more" : "number less" }, amount(one.saving), h("small", null, count("fleet.changes", one.waiting, whole(one.waiting))));
}

function row(one) {
  const quota = one.quotas.find((each) => each.resource === one.shown);
  const name = quota ? word("resource", quota.resource) : "";
  const spark = quota && quota.spark
    ? sparkline({ values: quota.spark.values, limit: quota.limit, label: t("fleet.spark", { resource: name, peak: plain(quota.peak), limit: plain(quota.limit), unit: unitOf(quota.resource, quota.unit) }) })
    : h("span", { class: "quiet" }, t("fleet.no_usage"));
  const over = quota && quota.violations !== null && quota.violations > quota.budget;
  const number = (value, detail, kind = "") => h("td", { class: `number ${kind}` }, value, detail ? h("small", null, detail) : null);
  return h("tr", null,
    h("th", { scope: "row" }, h("a", { href: `/tenants/${encodeURIComponent(one.tenant)}${quota ? `/${quota.resource}` : ""}` }, one.name), h("small", null, one.name === one.tenant ? one.tier : `${one.tenant} · ${one.tier}`), one.incident ? h("small", { class: `narrow severity ${one.incident.severity}` }, word("severity", one.incident.severity)) : null),
    h("td", { class: "wide" }, spark, quota ? h("small", null, name) : null),
    quota && quota.peak !== null ? number(share(quota.peak / quota.limit, 0), `${plain(quota.peak)} / ${plain(quota.limit)} ${unitOf(quota.resource, quota.unit)}`) : number(NOTHING, "", "quiet"),
    number(quota ? share(quota.slack, 0) : NOTHING, "", "mid"),
    number(quota ? share(quota.violations, 2) : NOTHING, over ? t("fleet.of_budget", { budget: share(quota.budget, 2) }) : "", over ? "mid bad" : "mid"),
    number(amount(one.cost_now), "", "wide"),
    number(one.waiting ? amount(one.cost_recommended) : NOTHING, "", one.waiting ? "wide" : "wide quiet"),
    savingCell(one),
    number(one.confidence === null ? NOTHING : fixed(one.confidence, 2), "", one.confidence === null ? "wide quiet" : "wide"),
    h("td", { class: "wide" }, word("mode", one.apply_mode)),
    incidentCell(one.incident),
  );
}

function heads(view, currency, sorted) {
  return COLUMNS.map(([name, sort, kind]) => {
    const isMoney = ["cost", "recommended", "saving"].includes(name);
    const unit = isMoney && currency ? h("small", null, t("unit.per_month", { currency })) : null;
    if (!sort) return h("th", { scope: "col", class: kind }, t(`column.${name}`), unit);
    const state = view.sort !== sort ? null : view.descending ? "descending" : "ascending";
    const turn = () => sorted(sort, view.sort === sort ? !view.descending : sort !== "tenant");
    return h("th", { scope: "col", class: kind, "aria-sort": state }, h("button", { type: "button", class: "sort", onclick: turn }, t(`column.${name}`)), unit);
  });
}

export async function fleet({ search, signal, user, again }) {
  const view = asked(search);
  const body = h("div", { class: "fleet" });
  const summary = await get("/v1/summary", signal);
  const any = [["", t("filter.any")]];
  const change = (name) => (value) => load({ [name]: value, from: 0 });
  const typed = settled(change("search"));
  const resources = choice(t("filter.resource"), [["", t("filter.fullest")]], view.resource, change("resource"));
  const filters = h("search", { class: "filters" },
    h("label", { class: "field grow" }, h("span", null, t("filter.search")), h("input", { type: "search", id: "search", value: view.search, placeholder: t("filter.search_hint"), oninput: (event) => typed(event.target.value) })),
    choice(t("filter.tier"), [...any, ...TIERS.map((one) => [one, one])], view.tier, change("tier")),
    choice(t("filter.mode"), [...any, ...MODES.map((one) => [one, word("mode", one)])], view.mode, change("mode")),
    choice(t("filter.only"), [["", t("filter.all")], ...ONLY.map((one) => [one, t(`only.${one}`)])], view.only, change("only")),
    resources,
  );

  async function load(change = {}) {
    Object.assign(view, change);
    history.replaceState(null, "", address(view));
    const { descending, from, ...rest } = view;
    const path = `/v1/fleet${query({ ...rest, descending, limit: PAGE, cursor: from || "" })}`;
    body.setAttribute("aria-busy", "true");
    try {
      const page = await get(path, signal);
      if (signal.aborted || `/v1/fleet${query({ ...rest, descending, limit: PAGE, cursor: from || "" })}` !== path) return;
      show(page);
    } catch (problem) {
      if (!signal.aborted) body.replaceChildren(h("p", { class: "note bad", role: "alert", lang: "en" }, problem.message));
    } finally {
      body.removeAttribute("aria-busy");
    }
  }

  function show(page) {
    const currency = page.totals.cost_now ? page.totals.cost_now.currency : "";
    const list = resources.querySelector("select");
    if (list.options.length === 1) list.append(...page.resources.map((one) => h("option", { value: one, selected: one === view.resource }, word("resource", one))));
    const sorted = (sort, descending) => load({ sort, descending, from: 0 });
    const last = Math.min(view.from + PAGE, page.totals.tenants);
    const place = t("page.place", { first: whole(page.totals.tenants ? view.from + 1 : 0), last: whole(last), all: whole(page.totals.tenants) });
    const step = (from, key, possible) => h("button", { type: "button", disabled: !possible, onclick: () => load({ from }) }, t(key));
    const empty = page.items.length ? null : h("p", { class: "note" }, view.search || view.tier || view.mode || view.only ? t("fleet.none_found") : t("fleet.none"));
    // What is focused stays focused.
    const focused = document.activeElement && document.activeElement.closest(".fleet th button") ? document.activeElement.textContent : null;
    body.replaceChildren(
      figures(page.totals),
      effort(page.totals),
      page.items.length
        ? h("div", { class: "sheet" }, h("table", { class: "rows" }, h("caption", { class: "unseen" }, t("fleet.caption")), h("thead", null, h("tr", null, heads(view, currency, sorted))), h("tbody", null, page.items.map(row))))
        : empty,
      h("div", { class: "pager" }, h("span", null, place), step(Math.max(0, view.from - PAGE), "page.before", view.from > 0), step(view.from + PAGE, "page.after", page.next !== null)),
    );
    if (focused) [...body.querySelectorAll("th button")].find((one) => one.textContent === focused)?.focus();
  }

  const timer = setInterval(() => {
    if (!document.hidden && !body.contains(document.activeElement)) load();
  }, REFRESH);
  signal.addEventListener("abort", () => clearInterval(timer));
  await load();
  const badge = summary.simulated ? h("span", { class: "badge" }, t("fleet.simulated")) : null;
  return h("div", null, h("div", { class: "headline" }, h("h1", null, t("nav.fleet")), badge, h("p", { class: "quiet" }, `${t("fleet.last_cycle")}: ${summary.last_cycle_at ? when(summary.last_cycle_at) : NOTHING}`), pauseButton(summary.paused, user, again)), pauseNote(summary.paused, user, again), staleNote(summary), filters, body);
}
