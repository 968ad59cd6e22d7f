// One incident: what was found, the usage beside the band it was expected in,
// and what a person can say of it.

import { find, post } from "./api.js";
import { timeChart } from "./chart.js";
import { ask } from "./decide.js";
import { facts, h, nothingHere, said } from "./dom.js";
import { fixed, measure, plain, unitOf, when, whole } from "./format.js";
import { actor } from "./history.js";
import { lasted, silence, stateOf } from "./incidents.js";
import { tellOf, told } from "./told.js";
import { t, word } from "./words.js";

const measured = (finding, value) => measure(value, finding.resource, finding.unit);

function chartOf(finding) {
  const { chart } = finding;
  const begin = Date.parse(chart.start);
  const at = (index) => begin + index * chart.step_seconds * 1000;
  const points = chart.values.map((value, index) => ({ at: at(index), value }));
  const end = at(Math.max(1, points.length - 1));
  const band = chart.values.map((_, index) => ({ at: at(index), low: chart.lower[index] === null ? null : Math.max(0, chart.lower[index]), high: chart.upper[index] }));
  const since = Date.parse(finding.since);
  const outside = points.filter((point, index) => point.value !== null && point.at >= since && band[index].high !== null && (point.value > band[index].high || point.value < band[index].low));
  return timeChart({
    label: t("finding.chart", { kind: word("kind", finding.kind), actual: measured(finding, finding.actual), expected: measured(finding, finding.expected) }),
    unit: unitOf(finding.resource, finding.unit),
    from: begin,
    to: end,
    lines: [{ kind: "usage", name: t("chart.usage"), points }],
    bands: band.some((point) => point.high !== null) ? [{ kind: "expected", name: t("chart.band"), points: band }] : [],
    marks: outside.map((point) => ({ ...point, kind: "odd" })),
    spans: [{ kind: "trouble", from: Math.max(begin, since), to: Math.min(end, Date.parse(finding.ended_at || finding.last_seen_at)) }],
    legend: outside.length ? [{ shape: "dot", kind: "odd", name: t("chart.anomaly") }] : [],
  }, 240).figure;
}

function found(finding) {
  const range = finding.lower === null || finding.upper === null ? "" : ` (${measured(finding, finding.lower)} … ${measured(finding, finding.upper)})`;
  const { foreseen, peers } = finding;
  const ended = finding.ended_at ? `${when(finding.ended_at)}${finding.is_new_level ? ` – ${t("finding.new_level")}` : ""}` : t("finding.lasts");
  return h("section", { class: "card" },
    h("h2", null, word("kind", finding.kind), finding.resource ? `: ${word("resource", finding.resource)} ` : " ", h("span", { class: `severity ${finding.severity}` }, word("severity", finding.severity))),
    told(finding.text, "p"),
    finding.chart && finding.chart.values.length ? chartOf(finding) : null,
    facts([
      [t("finding.since"), when(finding.since)],
      [t("finding.ended"), ended],
      [t("finding.expected"), finding.expected === null ? null : `${measured(finding, finding.expected)}${range}`],
      [t("finding.actual"), finding.actual === null ? null : measured(finding, finding.actual)],
      [t("finding.strength"), finding.strength ? t("finding.strength_text", { strength: fixed(finding.strength, 1) }) : null],
      [t("finding.detector"), t("finding.detector_text", { detector: word("detector", finding.detector), confidence: fixed(finding.confidence, 2), samples: whole(finding.samples) })],
      [t("finding.headroom"), finding.headroom_hours === null ? null : t("finding.hours", { hours: fixed(finding.headroom_hours, 1) })],
      [t("finding.foreseen"), foreseen ? t("finding.foreseen_text", { lower: plain(foreseen.lower), upper: plain(foreseen.upper), median: plain(foreseen.median), unit: unitOf(finding.resource, finding.unit) }) : null],
      [t("finding.peers"), peers ? t("finding.peers_text", { moved: whole(peers.also_moved_count), count: whole(peers.count), chosen: tellOf(peers.chosen_by)[0] }) : null],
    ]));
}

export async function incident({ parts: [id], signal, user, go }) {
  const one = await find(`/v1/incidents/${encodeURIComponent(id)}`, signal);
  if (!one) return nothingHere(t("incident.missing"), ...(user.tenants.length ? ["/", t("nav.own")] : ["/incidents", t("nav.incidents")]));
  const state = stateOf(one);
  const again = () => go(`/incidents/${id}`, { replace: true });
  const act = (path, title, text, label, body) =>
    ask({ title, text, agree: title, commentLabel: label, work: ({ comment }) => post(`/v1/incidents/${id}/${path}`, { ...body, ...(comment ? { comment } : {}) }) }).then((done) => done && again());
  const acknowledge = () => act("acknowledge", t("incident.acknowledge"), t("incident.acknowledge_text", { tenant: one.tenant }), t("incident.comment"), {});
  const judge = (isTrue) => () => act("feedback", t(isTrue ? "incident.real" : "incident.false"), t(isTrue ? "incident.real_text" : "incident.false_text"), t("incident.why"), { is_true: isTrue });
  const resource = one.resources.length === 1 ? one.resources[0] : null;
  const button = (text, work, kind) => h("button", { type: "button", class: kind, onclick: work }, text);
  const may = user.role !== "viewer";
  const silences = may && !user.tenants.length && state !== "resolved";
  const { acknowledged, feedback } = one;
  const announced = one.told_at ? when(one.told_at) : one.untold ? t(`incident.untold.${one.untold}`) : "–";
  return h("div", null,
    user.tenants.length ? null : h("p", { class: "back" }, h("a", { href: "/incidents" }, `← ${t("nav.incidents")}`)),
    h("div", { class: "headline" },
      h("h1", null, t("incident.title", { severity: word("severity", one.severity), tenant: one.tenant })),
      h("span", { class: `badge ${state}` }, word("state", state))),
    h("div", { class: "buttons start" },
      may && state === "open" ? button(t("incident.acknowledge"), acknowledge, "main") : null,
      silences ? button(t("incident.silence"), () => silence({ tenant: one.tenant, resources: one.resources, done: () => go("/incidents") })) : null,
      may ? [button(t("incident.real"), judge(true)), button(t("incident.false"), judge(false))] : h("p", { class: "quiet" }, t("incident.may_not")),
      h("a", { class: "button", href: `/tenants/${encodeURIComponent(one.tenant)}${resource ? `/${resource}` : ""}` }, one.tenant)),
    facts([
      [t("incident.opened"), `${when(one.opened_at)} (${lasted(one)})`],
      [t("incident.seen"), when(one.last_seen_at)],
      [t("incident.resolved"), one.resolved_at ? when(one.resolved_at) : null],
      [t("incident.told"), announced],
      [t("incident.taken"), acknowledged ? [`${actor(acknowledged.by)}, ${when(acknowledged.at)}`, acknowledged.comment ? [": ", said(acknowledged.comment)] : ""] : null],
      [t("incident.judged"), feedback ? [t(feedback.is_true ? "incident.judged_true" : "incident.judged_false", { by: actor(feedback.by) }), feedback.comment ? [": ", said(feedback.comment)] : ""] : null],
    ]),
    one.findings.map(found));
}
