// Many changes as one: the list of rollouts, and how far each has come.

import { get, query } from "./api.js";
import { h, s, said, table } from "./dom.js";
import { exactly, when, whole } from "./format.js";
import { actor } from "./history.js";
import { t, word } from "./words.js";

const PAGE = 50;
const OUTCOMES = ["applied", "kept", "waiting", "refused", "left", "rolled_back"];

// How many changes have come to what.
export function outcomes(changes) {
  const of = (kind) => changes.filter((one) => one.outcome.kind === kind).length;
  return OUTCOMES.map((kind) => [kind, of(kind)]).filter(([, count]) => count);
}

// All that is changed: the tenants that get a template, and the quotas.
export const all = ({ template, changes }) => [...(template ? template.moves : []), ...changes];

export const stages = (rollout) => 1 + all(rollout).reduce((last, one) => Math.max(last, one.stage), 0);

export const isOver = ({ state }) => ["done", "rolled_back"].includes(state.kind);

// A bar of all changes, in the order in which things turn out.
export function progress(changes) {
  const found = outcomes(changes);
  const text = found.map(([kind, count]) => `${word("changestate", kind)} ${whole(count)}`).join(", ");
  let from = 0;
  const parts = found.map(([kind, count]) => {
    const width = (count / changes.length) * 200;
    const part = s("rect", { class: `part ${kind}`, x: from, width, height: 10 });
    from += width;
    return part;
  });
  return [s("svg", { class: "progress", viewBox: "0 0 200 10", width: 200, height: 10, preserveAspectRatio: "none", role: "img", "aria-label": text }, parts), h("small", null, text)];
}

export function badge({ state, paused_by: halted }) {
  const text = halted ? t("rollouts.halted") : word("rolloutstate", state.kind);
  return h("span", { class: `badge ${["rolling_back", "unseen"].includes(state.kind) ? "open" : ""}` }, text);
}

function row(one) {
  return h("tr", { class: isOver(one) ? "over" : null },
    h("th", { scope: "row" }, h("a", { href: `/rollouts/${one.id}` }, said(one.name)), h("small", null, word("strategy", one.strategy.kind)), h("small", { class: "narrow" }, badge(one))),
    h("td", { class: "mid" }, badge(one)),
    h("td", { class: "number mid" }, t("rollouts.stage_of", { stage: one.stage + 1, all: stages(one) })),
    h("td", { class: "course" }, progress(all(one))),
    h("td", { class: "nowrap mid", title: exactly(one.created_at) }, when(one.created_at), h("small", null, actor(one.by))),
    h("td", { class: "text wide" }, said(one.state.why || one.reason)));
}

export async function rollouts({ signal }) {
  const page = await get(`/v1/rollouts${query({ limit: PAGE })}`, signal);
  const titles = [[t("rollouts.name"), ""], [t("rollouts.state"), "mid"], [t("rollouts.stage"), "number mid"], [t("rollouts.progress"), ""], [t("rollouts.begun"), "mid"], [t("rollouts.why"), "wide"]];
  const sheet = table(t("rollouts.caption"), titles.map(([title, kind]) => ({ title, kind })), page.items.map(row), "rows");
  let { next } = page;
  const more = h("button", { type: "button", hidden: !next, onclick: async () => {
    const further = await get(`/v1/rollouts${query({ limit: PAGE, cursor: next })}`, signal);
    sheet.querySelector("tbody").append(...further.items.map(row));
    next = further.next;
    more.hidden = !next;
  } }, t("page.more"));
  return h("div", null,
    h("h1", null, t("nav.rollouts")),
    h("p", { class: "quiet" }, t("rollouts.text")),
    page.items.length ? h("div", { class: "sheet" }, sheet) : h("p", { class: "note" }, t("rollouts.none")),
    more);
}
