// One rollout: what was seen of the changed quotas beside the rest, each stage
// and change, and the way on or back.

import { find, get, post } from "./api.js";
import { ask } from "./decide.js";
import { facts, h, nothingHere, said, sheet, table } from "./dom.js";
import { NOTHING, fixed, lasting, plain, share, unitOf, when, whole } from "./format.js";
import { actor } from "./history.js";
import { all, badge, isOver, progress, stages } from "./rollouts.js";
import { told } from "./told.js";
import { t, word } from "./words.js";

const SHOWN = 100;

const rowsOn = (name, titles, rows) => sheet(name, table(name, titles.map(([title, kind]) => ({ title, kind })), rows, "rows"));

const part = ({ samples, above }) => (samples ? above / samples : null);

// What a person can ask of a rollout in its state.
function steps({ state, paused_by: halted }) {
  const kind = state.kind;
  const goesOn = !["rolling_back", "rolled_back", "done"].includes(kind);
  return [
    ["approve", kind === "awaits_second"],
    ["switch", kind === "prepared" && !halted],
    ["resume", Boolean(halted) || kind === "unseen"],
    ["finish", ["watching", "unseen", "undecided"].includes(kind)],
    ["pause", goesOn && !halted],
    ["roll-back", goesOn || kind === "done"],
  ].filter(([, may]) => may).map(([step]) => step);
}

function buttons(rollout, again) {
  const press = (step) => () => ask({
    title: t(`rollout.${step}_title`, { name: rollout.name }),
    text: t(`rollout.${step}_text`),
    agree: t(`rollout.${step}`),
    commentLabel: t("rollout.reason"),
    needed: true,
    work: ({ comment, headers }) => post(`/v1/rollouts/${rollout.id}/${step}`, { reason: comment }, headers),
  }).then((done) => done && again());
  return steps(rollout).map((step, at) => h("button", { type: "button", id: `rollout-${step}`, class: at === 0 && !["finish", "pause", "roll-back"].includes(step) ? "main" : null, onclick: press(step) }, t(`rollout.${step}`)));
}

// The changed quotas beside those that wait, before and since.
function beside({ watched }) {
  const row = (name, before, since) => h("tr", null,
    h("th", { scope: "row" }, name),
    h("td", { class: "number" }, share(part(before), 2), h("small", null, t("rollout.samples", { count: whole(before.samples) }))),
    h("td", { class: `number ${part(since) > part(before) ? "more" : ""}` }, share(part(since), 2), h("small", null, t("rollout.samples", { count: whole(since.samples) }))));
  return h("section", { "aria-labelledby": "watched" },
    h("h2", { id: "watched" }, t("rollout.watched")),
    rowsOn(t("rollout.watched"), [[t("rollout.who"), ""], [t("rollout.before"), "number"], [t("rollout.since"), "number"]], [
      row(t("rollout.changed"), watched.before, watched.since),
      watched.rest_since.samples ? row(t("rollout.rest"), watched.rest_before, watched.rest_since) : null,
      h("tr", null, h("th", { scope: "row" }, t("rollout.findings")), h("td", { class: "number" }, whole(watched.incidents_before)), h("td", { class: "number" }, whole(watched.incidents_since))),
    ]));
}

// The halves of an A/B test, with intervals of 95 %, and costs in the currency
// of the prices.
function halves({ comparison }, currency) {
  if (!comparison) return null;
  const written = { violations: (value) => share(value, 2), slack: (value) => share(value), cost: (value) => `${fixed(value, 2)} ${currency}`, incidents: (value) => fixed(value, 2) };
  // A figure and its unit stay together.
  const joined = (kind, value) => written[kind](value).replaceAll(" ", "\u00a0");
  const figure = (kind, { mean, low, high }) => h("td", { class: "number" }, written[kind](mean), low === null ? null : h("small", null, t("rollout.interval", { low: joined(kind, low), high: joined(kind, high) })));
  const rows = Object.keys(written).filter((kind) => comparison[kind]).map((kind) => {
    const { a, b, difference } = comparison[kind];
    return h("tr", null, h("th", { scope: "row" }, t(`rollout.half_${kind}`)), figure(kind, a), figure(kind, b), figure(kind, difference));
  });
  return h("section", { class: "halves", "aria-labelledby": "halves" },
    h("h2", { id: "halves" }, t("rollout.halves")),
    h("p", { class: "quiet" }, t("rollout.halves_text")),
    rows.length ? rowsOn(t("rollout.halves"), [["", ""], ["A", "number"], ["B", "number"], [t("rollout.difference"), "number"]], rows) : h("p", { class: "note" }, t("rollout.halves_none")));
}

function stageRows(rollout) {
  return Array.from({ length: stages(rollout) }, (_, stage) => {
    const changes = all(rollout).filter((one) => one.stage === stage);
    const tenants = new Set(changes.map((one) => one.tenant)).size;
    return h("tr", { class: stage === rollout.stage && !isOver(rollout) ? "chosen" : null },
      h("th", { scope: "row" }, whole(stage + 1)),
      h("td", { class: "number mid" }, whole(tenants)),
      h("td", { class: "number" }, whole(changes.length)),
      h("td", { class: "course" }, progress(changes)));
  });
}

function tenantRow(one) {
  return h("tr", null,
    h("th", { scope: "row" }, h("a", { href: `/tenants/${encodeURIComponent(one.tenant)}` }, one.tenant)),
    h("td", { class: "number mid" }, whole(one.stage + 1)),
    h("td", { class: "number" }, share(part(one.before), 2)),
    h("td", { class: `number ${part(one.since) > part(one.before) ? "more" : ""}` }, share(part(one.since), 2)));
}

function changeRow(one) {
  return h("tr", null,
    h("th", { scope: "row" }, h("a", { href: `/tenants/${encodeURIComponent(one.tenant)}/${one.resource}` }, one.tenant), h("small", null, word("resource", one.resource))),
    h("td", { class: "number mid" }, whole(one.stage + 1), one.arm ? h("small", null, one.arm.toUpperCase()) : null),
    h("td", { class: "number" }, `${plain(one.from)} → ${plain(one.to)}`, h("small", null, unitOf(one.resource))),
    h("td", null, word("changestate", one.outcome.kind), one.outcome.at ? h("small", null, when(one.outcome.at)) : null),
    h("td", { class: "text wide" }, one.outcome.why ? told(one.outcome.why) : NOTHING));
}

// A tenant that gets the template.
function moveRow({ to }) {
  const version = ({ name, version: number }, tier) => `${name}@${number} ${tier}`;
  return (one) => h("tr", null,
    h("th", { scope: "row" }, h("a", { href: `/tenants/${encodeURIComponent(one.tenant)}` }, one.tenant), h("small", null, t("rollout.template"))),
    h("td", { class: "number mid" }, whole(one.stage + 1), one.arm ? h("small", null, one.arm.toUpperCase()) : null),
    h("td", { class: "number" }, `${version(one.from, one.from_tier)} → ${version(to, one.to_tier)}`),
    h("td", null, word("changestate", one.outcome.kind), one.outcome.at ? h("small", null, when(one.outcome.at)) : null),
    h("td", { class: "text wide" }, one.outcome.why ? told(one.outcome.why) : one.tier_left_out ? t("rollout.tier_stays", { tier: one.tier_left_out }) : NOTHING));
}

// A table that shows its first rows, and the rest when asked.
function long(name, titles, items, row) {
  const made = rowsOn(name, titles, items.slice(0, SHOWN).map(row));
  const more = h("button", { type: "button", hidden: items.length <= SHOWN, onclick: () => {
    const body = made.querySelector("tbody");
    const next = items.slice(body.children.length, body.children.length + SHOWN * 10);
    body.append(...next.map(row));
    more.hidden = body.children.length >= items.length;
  } }, t("page.more"));
  return [made, more];
}

// Those that suffer most stand first.
const bySuffering = (a, b) => (part(b.since) ?? -1) - (part(a.since) ?? -1);

// When the stage that is watched now has been watched for long enough.
function watchedUntil({ state, paused_by: halted, since, watch_seconds: seconds }) {
  if (state.kind !== "watching" || halted) return null;
  const end = Date.parse(since) + seconds * 1000;
  return end > Date.now() ? t("rollout.ends_in", { when: when(end), left: lasting(Date.now(), end) }) : t("rollout.ended", { when: when(end) });
}

export async function rollout({ parts: [id], signal, user, go }) {
  const one = await find(`/v1/rollouts/${encodeURIComponent(id)}`, signal);
  if (!one) return nothingHere(t("rollout.missing"), "/rollouts", t("nav.rollouts"));
  const summary = one.comparison ? await get("/v1/summary", signal) : null;
  const again = () => go(`/rollouts/${id}`, { replace: true });
  const may = ["approver", "admin"].includes(user.role);
  const { template, limits, watched } = one;
  return h("div", null,
    h("p", { class: "back" }, h("a", { href: "/rollouts" }, `← ${t("nav.rollouts")}`)),
    h("div", { class: "headline" }, h("h1", null, said(one.name)), badge(one)),
    one.state.why ? h("p", { class: `note ${one.state.kind === "unseen" ? "" : "bad"}` }, told(one.state.why)) : null,
    h("div", { class: "buttons start" }, may ? buttons(one, again) : h("p", { class: "quiet" }, t("rollout.may_not"))),
    facts([
      [t("rollouts.why"), said(one.reason)],
      [t("rollout.strategy"), word("strategy", one.strategy.kind)],
      [t("rollout.template"), template ? t("rollout.version", { name: template.to.name, version: template.to.version }) : null],
      [t("rollouts.stage"), t("rollouts.stage_of", { stage: one.stage + 1, all: stages(one) })],
      [t("rollout.stands"), `${when(one.since)} (${lasting(one.since)})`],
      [t("rollout.watch_ends"), watchedUntil(one)],
      [t("rollout.watch"), t("rollout.watch_text", { time: lasting(0, one.watch_seconds * 1000), all: share(limits.violations), tenant: share(limits.tenant_violations), findings: whole(limits.incidents) })],
      [t("rollouts.begun"), `${when(one.created_at)}, ${actor(one.by)}`],
      [t("rollout.first"), one.first ? `${actor(one.first.by)}, ${when(one.first.at)}` : null],
      [t("rollout.halted_by"), one.paused_by ? actor(one.paused_by) : null],
      [t("rollout.back_by"), one.taken_back_by ? actor(one.taken_back_by) : null],
    ]),
    beside(one),
    halves(one, summary?.cost_now?.currency ?? ""),
    h("section", { "aria-labelledby": "stages" }, h("h2", { id: "stages" }, t("rollout.stages")),
      rowsOn(t("rollout.stages"), [[t("rollouts.stage"), ""], [t("rollout.tenants"), "number mid"], [t("rollout.changes"), "number"], [t("rollout.outcome"), ""]], stageRows(one))),
    watched.tenants.length ? h("section", { "aria-labelledby": "by-tenant" }, h("h2", { id: "by-tenant" }, t("rollout.by_tenant")),
      long(t("rollout.by_tenant"), [[t("column.tenant"), ""], [t("rollouts.stage"), "number mid"], [t("rollout.before"), "number"], [t("rollout.since"), "number"]], [...watched.tenants].sort(bySuffering), tenantRow)) : null,
    h("section", { "aria-labelledby": "changes" }, h("h2", { id: "changes" }, t("rollout.changes")),
      long(t("rollout.changes"), [[t("column.tenant"), ""], [t("rollouts.stage"), "number mid"], [t("rollout.limit"), "number"], [t("rollouts.state"), ""], [t("rollout.outcome_why"), "wide"]], all(one), (each) => (each.resource ? changeRow(each) : moveRow(template)(each)))));
}
