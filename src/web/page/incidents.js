// What goes wrong across the fleet: a timeline, the list behind it, and the
// silences that hold alerts back.

import { get, post, query, remove } from "./api.js";
import { scale, timeMarks } from "./axes.js";
import { fluid } from "./chart.js";
import { ask } from "./decide.js";
import { choice, h, s, said, settled, table } from "./dom.js";
import { lasting, tick, when, whole } from "./format.js";
import { actor } from "./history.js";
import { told } from "./told.js";
import { count, t, word } from "./words.js";

const DAYS = 7;
const PAGE = 100;
// Lanes of the timeline; more would push the table out of sight.
const LANES = 14;
const STATES = ["open", "acknowledged", "resolved"];
const SEVERITIES = ["info", "warning", "critical"];
const KINDS = ["unusual_usage", "forecast_breach", "cost_anomaly", "sla_breach", "budget_overrun", "pinned_at_quota", "no_data", "rolled_back", "meter_used_up"];

export const stateOf = (incident) => (incident.resolved_at ? "resolved" : incident.acknowledged ? "acknowledged" : "open");

// The daemon's present, which is not the reader's where usage is made up: then
// nothing was seen for long.
function present(items) {
  const last = items.reduce((latest, one) => Math.max(latest, Date.parse(one.resolved_at || one.last_seen_at)), 0);
  return Date.now() - last > DAYS * 86400e3 ? last : Date.now();
}

// How long an incident has lasted.
export const lasted = (one) => lasting(one.opened_at, one.resolved_at || present([one]));

// A lane for each tenant that had trouble lately, with its incidents as bars.
function timeline(items) {
  const now = present(items);
  const begin = now - DAYS * 86400e3;
  const recent = items.filter((one) => !one.resolved_at || Date.parse(one.resolved_at) > begin);
  if (!recent.length) return null;
  // Those with trouble now stand first, so that none of them is left out before
  // one that has none any more.
  const inOrder = [...recent.filter((one) => !one.resolved_at), ...recent];
  const all = [...new Set(inOrder.map((one) => one.tenant))];
  const tenants = all.slice(0, LANES);
  const others = all.length - tenants.length;
  const lane = 22;
  const height = tenants.length * lane + 28;
  const draw = (width) => lanes({ recent, tenants, begin, now, width, lane, height });
  return h("section", { class: "card", "aria-labelledby": "timeline" },
    h("h2", { id: "timeline" }, t("incidents.timeline", { days: DAYS })),
    h("ul", { class: "legend" }, SEVERITIES.slice().reverse().map((one) => h("li", null, s("svg", { class: "key", width: 22, height: 10, viewBox: "0 0 22 10", "aria-hidden": "true" }, s("rect", { class: `bar ${one}`, width: 22, height: 10, rx: 2 })), word("severity", one)))),
    fluid(height, t("incidents.timeline_label", { days: DAYS }), draw),
    others ? h("p", { class: "quiet", id: "timeline-more" }, count("incidents.lanes", others, whole(others))) : null);
}

function lanes({ recent, tenants, begin, now, width, lane, height }) {
  const left = Math.min(150, width * 0.3);
  const longest = Math.floor(left / 7.5);
  const x = scale([begin, now], [left, width - 8]);
  const parts = [];
  const { marks, areDays } = timeMarks(begin, now, Math.max(2, Math.floor((width - left) / 80)));
  for (const mark of marks) {
    parts.push(s("path", { class: "grid", d: `M${x(mark).toFixed(1)} 0V${height - 22}` }));
    if (x(mark) < width - 30) parts.push(s("text", { class: "axis", x: x(mark), y: height - 6, "text-anchor": "middle" }, tick(mark, areDays)));
  }
  tenants.forEach((tenant, index) => {
    const y = index * lane + 4;
    parts.push(s("text", { class: "axis name", x: left - 10, y: y + 11, "text-anchor": "end" }, tenant.length > longest ? `${tenant.slice(0, longest - 1)}…` : tenant));
    for (const one of recent.filter((each) => each.tenant === tenant)) {
      const from = x(Math.max(begin, Date.parse(one.opened_at)));
      const to = x(one.resolved_at ? Date.parse(one.resolved_at) : now);
      parts.push(s("rect", { class: `bar ${one.severity}${one.resolved_at ? " over" : ""}`, x: from, y, width: Math.max(4, to - from), height: lane - 8, rx: 2 }));
    }
  });
  return parts;
}

function row(one) {
  const [worst, ...others] = [...one.findings].sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity));
  const state = stateOf(one);
  return h("tr", { class: state === "resolved" ? "over" : null },
    h("td", null, h("span", { class: `severity ${one.severity}` }, word("severity", one.severity)), h("small", null, word("state", state))),
    h("th", { scope: "row" }, h("a", { href: `/incidents/${one.id}` }, one.tenant), h("small", null, [...new Set(one.findings.map((finding) => word("kind", finding.kind)))].join(", "))),
    h("td", { class: "text wide" }, worst ? told(worst.text) : null, others.length ? h("small", null, t("incidents.more", { count: whole(others.length) })) : null),
    h("td", { class: "nowrap" }, when(one.opened_at)),
    h("td", { class: "number mid nowrap" }, lasted(one)));
}

// Asks for how long, why, and of what, and silences a tenant, one of its
// `resources`, or all.
export function silence({ tenant, resources = [], done }) {
  const hours = h("select", { id: "silence-for" }, ["1", "4", "24", "168"].map((one) => h("option", { value: one, selected: one === "4" }, t(`silence.${one}`))));
  const whose = h("input", { id: "silence-tenant", value: tenant || "", autocomplete: "off", spellcheck: "false" });
  const what = h("select", { id: "silence-what" },
    h("option", { value: "", selected: true }, t("silence.all", { tenant })),
    resources.map((one) => h("option", { value: one }, t("silence.only", { resource: word("resource", one) }))));
  const more = [{ name: "hours", element: hours, label: t("silence.for") }];
  if (resources.length) more.unshift({ name: "resource", element: what, label: t("silence.what") });
  if (!tenant) more.unshift({ name: "tenant", element: whose, label: t("silence.tenant") });
  return ask({
    title: tenant ? t("silence.of", { tenant }) : t("silence.title"),
    agree: t("silence.agree"),
    commentLabel: t("silence.reason"),
    needed: true,
    more,
    work: ({ comment, hours: long, tenant: named, resource }) => {
      const until = new Date(Date.now() + Number(long) * 3600e3).toISOString();
      const wanted = tenant || (named || "").trim();
      return post("/v1/silences", { reason: comment, until, ...(wanted ? { tenant: wanted } : {}), ...(resource ? { resource } : {}) });
    },
  }).then((made) => made && done(made));
}

function silences(items, may, again) {
  const rows = items.map((one) =>
    h("tr", null,
      h("th", { scope: "row" }, one.tenant || t("incidents.all_tenants"), h("small", null, one.resource ? word("resource", one.resource) : t("incidents.all_resources")), h("small", { class: "narrow" }, said(one.reason))),
      h("td", { class: "text wide" }, said(one.reason)),
      h("td", { class: "mid" }, actor(one.by)),
      h("td", null, when(one.until)),
      h("td", null, may ? h("button", { type: "button", "aria-label": `${t("incidents.lift")}: ${one.reason}`, onclick: () => remove(`/v1/silences/${one.id}`).then(again) }, t("incidents.lift")) : null)));
  const titles = [[t("incidents.tenant"), ""], [t("audit.why"), "wide"], [t("incidents.by"), "mid"], [t("incidents.until"), ""], ["", ""]];
  return h("section", { "aria-labelledby": "silences" },
    h("div", { class: "headline" }, h("h2", { id: "silences" }, t("incidents.silences")), may ? h("button", { type: "button", onclick: () => silence({ done: again }) }, t("incidents.add_silence")) : null),
    rows.length ? h("div", { class: "sheet" }, table(t("incidents.silences"), titles.map(([title, kind]) => ({ title, kind })), rows, "rows")) : h("p", { class: "quiet" }, t("incidents.no_silences")));
}

export async function incidents({ search, signal, user }) {
  const view = { state: search.get("state") || "", severity: search.get("severity") || "", kind: search.get("kind") || "", tenant: search.get("tenant") || "" };
  const may = user.role !== "viewer";
  const list = h("div");
  const quiet = h("div");
  const any = [["", t("filter.any")]];
  const set = (name) => (value) => { view[name] = value.trim(); load(); };
  const filters = h("search", { class: "filters" },
    h("label", { class: "field grow" }, h("span", null, t("incidents.tenant")), h("input", { type: "search", value: view.tenant, autocomplete: "off", oninput: settled((event) => set("tenant")(event.target.value)) })),
    choice(t("incidents.state"), [["", t("filter.all")], ...STATES.map((one) => [one, word("state", one)])], view.state, set("state")),
    choice(t("incidents.severity"), [...any, ...SEVERITIES.map((one) => [one, word("severity", one)])], view.severity, set("severity")),
    choice(t("incidents.kind"), [...any, ...KINDS.map((one) => [one, word("kind", one)])], view.kind, set("kind")));

  async function load() {
    history.replaceState(null, "", `/incidents${query(view)}`);
    list.setAttribute("aria-busy", "true");
    try {
      show(await get(`/v1/incidents${query({ ...view, limit: PAGE })}`, signal));
    } catch (problem) {
      if (signal.aborted) return;
      list.replaceChildren(h("p", { class: "note bad", role: "alert", lang: "en" }, problem.message));
    } finally {
      list.removeAttribute("aria-busy");
    }
  }
  function show(page) {
    const titles = [[t("incidents.severity"), ""], [t("incidents.tenant"), ""], [t("incidents.what"), "wide"], [t("incidents.opened"), ""], [t("incidents.lasted"), "number mid"]];
    titles[0][0] = t("column.incident");
    const sheet = table(t("incidents.table"), titles.map(([title, kind]) => ({ title, kind })), page.items.map(row), "rows");
    let next = page.next;
    const more = h("button", { type: "button", hidden: !next, onclick: async () => {
      const further = await get(`/v1/incidents${query({ ...view, limit: PAGE, cursor: next })}`, signal);
      sheet.querySelector("tbody").append(...further.items.map(row));
      next = further.next;
      more.hidden = !next;
    } }, t("page.more"));
    list.replaceChildren(...[timeline(page.items), page.items.length ? h("div", { class: "sheet" }, sheet) : h("p", { class: "note" }, t("incidents.none")), more].filter(Boolean));
  }
  const silenced = async () => quiet.replaceChildren(silences((await get("/v1/silences?active=true", signal)).items.filter((one) => !one.lifted_at), may, silenced));
  await Promise.all([load(), silenced()]);
  return h("div", null, h("h1", null, t("nav.incidents")), filters, list, quiet);
}
