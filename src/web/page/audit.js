// The audit log: who changed what, when and why.

import { get, query } from "./api.js";
import { choice, facts, h, said, settled } from "./dom.js";
import { exactly, whole } from "./format.js";
import { actor, step } from "./history.js";
import { t, word } from "./words.js";

const PAGE = 100;
const ACTIONS = [
  "quota_changed", "recommendation_approved", "recommendation_rejected", "first_approval_given", "first_approval_lapsed", "change_requested", "change_request_approved", "change_request_rejected", "change_request_lapsed", "change_failed", "apply_mode_changed", "tenant_created", "tenant_changed", "tier_changed", "tenant_removed",
  "incident_opened", "incident_worsened", "incident_resolved", "incident_acknowledged", "incident_judged", "silence_created", "silence_lifted", "marker_created", "marker_removed",
  "model_replaced", "model_rolled_back", "template_created", "template_changed", "template_removed", "token_created", "token_revoked", "session_begun", "session_ended", "login_failed",
  "second_factor_begun", "second_factor_confirmed", "second_factor_removed", "target_repaired", "rollout_begun", "rollout_moved", "rollout_paused", "rollout_resumed", "changes_paused", "changes_resumed", "config_reloaded", "audit_cut",
  "receiver_created", "receiver_changed", "receiver_removed", "receiver_disabled", "receiver_enabled", "receiver_tested", "notice_sent_again",
];

function details(line, columns) {
  const text = (value) => (value === null ? "–" : JSON.stringify(value, null, 1));
  return h("tr", { class: "below", hidden: true }, h("td", { colspan: columns },
    facts([
      [t("audit.change"), [h("pre", null, text(line.before)), h("pre", null, text(line.after))]],
      [t("audit.request"), line.request_id],
      [t("audit.hash"), h("code", null, line.hash)],
    ])));
}

function rows(line) {
  const below = details(line, 6);
  const opener = h("button", { type: "button", class: "plain", "aria-expanded": "false", "aria-label": t("audit.details", { number: line.number }), onclick: () => {
    below.hidden = !below.hidden;
    opener.setAttribute("aria-expanded", String(!below.hidden));
  } }, whole(line.number));
  const about = () => (line.tenant ? h("a", { href: `/tenants/${encodeURIComponent(line.tenant)}${line.resource ? `/${line.resource}` : ""}` }, line.tenant) : null);
  const row = h("tr", null,
    h("td", { class: "number" }, opener),
    h("td", { class: "nowrap" }, exactly(line.at)),
    h("td", { class: "mid" }, actor(line.actor)),
    h("th", { scope: "row" }, word("action", line.action), step(line) ? h("small", null, step(line)) : null,
      h("small", { class: "narrow" }, h("b", null, actor(line.actor)), line.tenant ? [" · ", about()] : null, line.resource ? ` · ${word("resource", line.resource)}` : null), line.reason ? h("small", { class: "narrow" }, said(line.reason)) : null),
    h("td", { class: "mid" }, about(), line.resource ? h("small", null, word("resource", line.resource)) : null),
    h("td", { class: "text wide" }, said(line.reason)));
  return [row, below];
}

export async function audit({ search, signal }) {
  const view = {};
  for (const name of ["text", "actor", "tenant", "action", "from", "to"]) view[name] = search.get(name) || "";
  const list = h("div");
  const set = (name) => (value) => { view[name] = value.trim(); load(); };
  const typed = (name, type, label, grow = "") => h("label", { class: `field ${grow}` }, h("span", null, label), h("input", { type, id: `audit-${name}`, value: view[name], autocomplete: "off", oninput: settled((event) => set(name)(event.target.value)) }));
  const filters = h("search", { class: "filters" },
    typed("text", "search", t("audit.text"), "grow"),
    typed("actor", "search", t("audit.actor")),
    typed("tenant", "search", t("audit.tenant")),
    choice(t("audit.action"), [["", t("filter.any")], ...ACTIONS.map((one) => [one, word("action", one)])], view.action, set("action")),
    typed("from", "date", t("audit.from")),
    typed("to", "date", t("audit.to")));

  // A day begins at the reader's own midnight; the last day counts as a whole.
  const instant = (text, plus) => {
    if (!text) return "";
    const [year, month, date] = text.split("-").map(Number);
    return new Date(year, month - 1, date + plus).toISOString();
  };
  const asked = (cursor) => `/v1/audit${query({ ...view, from: instant(view.from, 0), to: instant(view.to, 1), limit: PAGE, cursor })}`;

  async function load() {
    history.replaceState(null, "", `/audit${query(view)}`);
    list.setAttribute("aria-busy", "true");
    const path = asked("");
    try {
      const page = await get(path, signal);
      if (!signal.aborted && path === asked("")) show(page);
    } catch (problem) {
      if (!signal.aborted) list.replaceChildren(h("p", { class: "note bad", role: "alert", lang: "en" }, problem.message));
    } finally {
      list.removeAttribute("aria-busy");
    }
  }

  function show(page) {
    if (!page.items.length) {
      list.replaceChildren(h("p", { class: "note" }, t("audit.none")));
      return;
    }
    const titles = [["audit.number", "number"], ["audit.when", ""], ["audit.who", "mid"], ["audit.what", ""], ["audit.about", "mid"], ["audit.why", "wide"]];
    const body = h("tbody", null, page.items.map(rows));
    const sheet = h("table", { class: "rows" }, h("caption", { class: "unseen" }, t("audit.caption")), h("thead", null, h("tr", null, titles.map(([key, kind]) => h("th", { scope: "col", class: kind }, t(key))))), body);
    let { next } = page;
    const more = h("button", { type: "button", hidden: !next, onclick: async () => {
      const further = await get(asked(next), signal);
      body.append(...further.items.flatMap(rows));
      next = further.next;
      more.hidden = !next;
    } }, t("page.more"));
    list.replaceChildren(h("div", { class: "sheet" }, sheet), more);
  }

  await load();
  return h("div", null, h("h1", null, t("nav.audit")), filters, list);
}
