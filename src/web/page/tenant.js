// One tenant: its quotas, and of the chosen one the usage, the quota's course,
// the forecast, what is recommended and why, and what another quota would mean.

import { find, get, query } from "./api.js";
import { sparkline, timeChart } from "./chart.js";
import { choice, facts, h, nothingHere, table } from "./dom.js";
import { NOTHING, amount, fixed, money, plain, share, unitBeside, unitOf, when, whole } from "./format.js";
import { changes } from "./history.js";
import { pauseNote } from "./pause.js";
import { promisesInShort, promisesOf } from "./promises.js";
import { proposal } from "./proposal.js";
import { reportLink } from "./reports.js";
import { staleMark } from "./stale.js";
import { told } from "./told.js";
import { t, word } from "./words.js";
import { whatIf } from "./whatif.js";

const DAY = 86400e3;

function outcome(quota) {
  if (!quota.outcome) return NOTHING;
  return word("outcome", quota.recommendation ? "change" : quota.outcome === "change" ? "keep" : quota.outcome);
}

function quotaRow(tenant, quota, chosen) {
  const here = quota.resource === chosen;
  const over = quota.violations > quota.budget;
  const number = (value, kind = "") => h("td", { class: `number ${kind}` }, value);
  return h("tr", { class: here ? "chosen" : null },
    h("th", { scope: "row" }, h("a", { href: `/tenants/${encodeURIComponent(tenant)}/${quota.resource}`, "aria-current": here ? "true" : null }, word("resource", quota.resource)), h("small", null, unitBeside(quota.resource, quota.unit))),
    h("td", { class: "mid" }, quota.spark ? sparkline({ values: quota.spark.values, limit: quota.limit, label: t("fleet.spark", { resource: word("resource", quota.resource), peak: plain(quota.peak), limit: plain(quota.limit), unit: unitOf(quota.resource, quota.unit) }) }) : null),
    number(plain(quota.limit)),
    number(plain(quota.peak), "mid"),
    number(share(quota.slack, 0), "mid"),
    number(share(quota.violations, 2), over ? "wide bad" : "wide"),
    number(quota.recommendation ? plain(quota.proposed) : NOTHING),
    number(amount(quota.cost_now), "wide"),
    number(quota.recommendation && quota.cost_now ? fixed(Number(quota.cost_now.amount) - Number(quota.cost_recommended.amount), 2) : NOTHING, "wide"),
    h("td", { class: "mid" }, outcome(quota)),
  );
}

function quotaTable(one, measured, chosen) {
  const currency = one.cost_now ? one.cost_now.currency : "";
  const sum = () => (currency ? h("small", null, t("unit.per_month", { currency })) : null);
  const titles = [
    [t("tenant.quotas"), ""], [t("column.spark"), "mid"], [t("tenant.limit"), "number"], [t("tenant.peak"), "number mid"], [t("column.slack"), "number mid"],
    [t("column.violations"), "number wide"], [t("tenant.recommended"), "number"], [[t("column.cost"), sum()], "number wide"], [[t("column.saving"), sum()], "number wide"], [t("tenant.outcome"), "mid"],
  ];
  return h("div", { class: "sheet" }, table(t("tenant.quotas"), titles.map(([title, kind]) => ({ title, kind })), measured.map((quota) => quotaRow(one.tenant, quota, chosen)), "rows"));
}

function headline(one, full, fit) {
  const template = full.template ? t("tenant.template", { template: `${full.template.name}@${full.template.version}` }) : null;
  const about = [one.tenant, one.tier, t("tenant.mode", { mode: word("mode", one.apply_mode) }), t("tenant.region", { region: `${full.provider} / ${one.region}` }), template];
  const open = one.incident;
  return [
    h("div", { class: "headline" }, h("h1", null, one.name), h("p", { class: "quiet" }, about.filter(Boolean).join(" · ")), reportLink(`/v1/reports/tenants/${encodeURIComponent(one.tenant)}`, "html", t("reports.one"))),
    open ? h("p", { class: `note severity-${open.severity}` }, h("a", { href: `/incidents/${open.id}` }, `${word("severity", open.severity)}: ${t("tenant.incident", { since: when(open.opened_at) })}`), ` (${word("state", open.state)})`) : null,
    fit && fit.fit ? h("p", { class: "note" }, h("b", null, t("tenant.fit", { tier: fit.fit.fits })), " ", told(fit.fit.because.join(" "))) : null,
  ];
}

// A usage answer as points in time.
function pointsOf(usage) {
  const begin = Date.parse(usage.start);
  return usage.values.map((value, index) => ({ at: begin + index * usage.step_seconds * 1000, value }));
}

// The quota's course: the changes that the audit log knows, and what stands.
function course(quota, log, from) {
  const changed = log.filter((line) => line.action === "quota_changed" && line.resource === quota.resource).map((line) => ({ at: Date.parse(line.at), before: line.before.limit, value: line.after.limit }));
  changed.sort((a, b) => a.at - b.at);
  const inside = changed.filter((one) => one.at > from);
  const earlier = changed.filter((one) => one.at <= from).pop();
  const first = inside.length ? inside[0].before : earlier ? earlier.value : quota.limit;
  return [{ at: from, value: first }, ...inside.map(({ at, value }) => ({ at, value }))];
}

function fan(forecast, until) {
  const begin = Date.parse(forecast.start);
  const at = (hour) => begin + hour * forecast.step_seconds * 1000;
  const rows = forecast.values.map((row, hour) => ({ at: at(hour), row })).filter((one) => one.at <= until);
  const levels = forecast.quantiles;
  const percent = (level) => plain(level * 100);
  const indexOf = (wanted) => levels.findIndex((level) => Math.abs(level - wanted) < 1e-6);
  const band = (low, high, kind) => ({ kind, name: t("chart.fan", { low: percent(levels[low]), high: percent(levels[high]) }), points: rows.map((one) => ({ at: one.at, low: one.row[low], high: one.row[high] })) });
  // Middle intervals as far as both ends are there, and the tail above.
  const pairs = levels.map((level, low) => [low, indexOf(1 - level)]).filter(([low, high]) => high > low);
  const middles = pairs.filter((_, index) => index === 0 || index === Math.floor(pairs.length / 2));
  const bands = middles.map(([low, high]) => band(low, high, "fan"));
  const top = pairs.length ? pairs[0][1] : 0;
  if (top < levels.length - 1) bands.unshift(band(top, levels.length - 1, "tail"));
  const middle = indexOf(0.5);
  const lines = middle < 0 ? [] : [{ kind: "median", name: t("chart.median"), points: rows.map((one) => ({ at: one.at, value: one.row[middle] })) }];
  return { bands, lines };
}

function chartOf(parts, view, tried) {
  const { one, quota, points, forecast, odd, log, spans } = parts;
  const now = points[points.length - 1].at;
  const from = Math.max(points[0].at, now - view.days * DAY);
  const hasForecast = forecast && forecast.start && view.ahead > 0;
  const to = hasForecast ? now + view.ahead * DAY : now;
  const ahead = hasForecast ? fan(forecast, to) : { bands: [], lines: [] };
  const inside = points.filter((point) => point.at >= from);
  const marks = odd.filter((sample) => sample.value !== null).map((sample) => ({ at: Date.parse(sample.at), value: sample.value, kind: "odd" }));
  const levels = [];
  if (quota.recommendation) levels.push({ kind: "proposed", name: t("chart.proposed"), value: quota.proposed, from });
  if (tried !== null) levels.push({ kind: "tried", name: t("chart.slider"), value: tried, from });
  return {
    label: t("chart.label", { resource: word("resource", quota.resource), tenant: one.name, peak: plain(quota.peak), unit: unitOf(quota.resource, quota.unit), limit: plain(quota.limit) }),
    unit: unitOf(quota.resource, quota.unit),
    from,
    to,
    now,
    bands: ahead.bands,
    lines: [{ kind: "usage", name: t("chart.usage"), points: inside }, ...ahead.lines],
    steps: [{ kind: "quota", name: t("chart.quota"), points: course(quota, log, from), until: to }],
    levels,
    marks,
    spans,
    legend: [
      ...(marks.some((mark) => mark.at >= from) ? [{ shape: "dot", kind: "odd", name: t("chart.anomaly") }] : []),
      ...(spans.some((span) => span.to >= from) ? [{ shape: "span", kind: "trouble", name: t("chart.incident") }] : []),
    ],
  };
}

// A line on a rejection holds the quota, which stays; what was rejected stands
// in the recommendation that was decided in the same instant.
async function withRejected(lines, mine, signal) {
  if (!lines.some((line) => line.action === "recommendation_rejected")) return lines;
  const { items } = await get(`/v1/recommendations${query({ ...mine, state: "rejected", limit: 100 })}`, signal);
  return lines.map((line) => {
    const rejected = line.action === "recommendation_rejected" && items.find((one) => one.state.at === line.at);
    return rejected ? { ...line, before: rejected.current, after: rejected.proposed } : line;
  });
}

async function chosenQuota(one, full, quota, { signal, user, go }) {
  const path = `/v1/tenants/${encodeURIComponent(one.tenant)}/resources/${quota.resource}`;
  const mine = { tenant: one.tenant, resource: quota.resource };
  // What nobody has seen used has no usage to ask for.
  const isUsed = quota.peak !== null;
  const [usage, forecast, anomalies, lines, troubles, recommendation] = await Promise.all([
    isUsed ? find(`${path}/usage`, signal) : null,
    isUsed ? find(`${path}/forecast`, signal) : null,
    isUsed ? find(`${path}/anomalies`, signal) : null,
    get(`/v1/audit${query({ ...mine, limit: 100 })}`, signal),
    get(`/v1/incidents${query({ ...mine, limit: 50 })}`, signal),
    quota.recommendation ? find(`/v1/recommendations/${quota.recommendation}`, signal) : null,
  ]);
  const log = await withRejected(lines.items, mine, signal);
  const title = h("h2", { id: "chosen" }, `${word("resource", quota.resource)} `, h("small", null, unitBeside(quota.resource, quota.unit)));
  const points = usage ? pointsOf(usage) : [];
  if (!points.some((point) => point.value !== null)) {
    return h("section", { "aria-labelledby": "chosen" }, title, h("p", { class: "note" }, t("tenant.no_usage")), quota.reason ? told(quota.reason, "p") : null, changes(log));
  }
  const spans = troubles.items.flatMap((incident) => incident.findings.filter((finding) => finding.resource === quota.resource).map((finding) => ({ kind: "trouble", from: Date.parse(finding.since), to: Date.parse(finding.ended_at || finding.last_seen_at) })));
  const parts = { one, quota, points, forecast, odd: anomalies ? anomalies.items : [], log, spans };
  const view = { days: 14, ahead: forecast && forecast.start ? 7 : 0 };
  let tried = null;
  const chart = timeChart(chartOf(parts, view, tried), 320);
  const redraw = () => chart.redraw(chartOf(parts, view, tried));
  const set = (name) => (value) => { view[name] = Number(value); redraw(); };
  const bar = h("div", { class: "filters" },
    choice(t("tenant.range"), ["1", "7", "14", "28"].map((days) => [days, t(`tenant.range.${days}`)]), "14", set("days")),
    choice(t("tenant.ahead"), ["0", "1", "7"].map((days) => [days, t(`tenant.ahead.${days}`)]), String(view.ahead), set("ahead")),
  );
  const trial = whatIf({ quota, points, recommendation, tried: (value) => { tried = value; redraw(); } });
  return h("section", { "aria-labelledby": "chosen" },
    h("div", { class: "headline" }, title, bar),
    staleMark(quota),
    h("div", { class: "split" }, h("div", null, chart.figure, trial), proposal({ one, full, quota, recommendation, forecast, user, go })),
    changes(log),
  );
}

export async function tenant(context) {
  const { parts: [id, wanted], signal } = context;
  const path = encodeURIComponent(id);
  const { tenants: own } = context.user;
  if (own.length && !own.includes(id)) return nothingHere(t("error.not_yours", { tenants: own.join(", "), tenant: id }), "/", t("nav.own"));
  // Who sees some tenants only can't ask for what is of the whole fleet.
  const pause = own.length ? { paused: null } : get("/v1/pause", signal);
  const [{ paused }, one, full, fit, sla] = await Promise.all([pause, find(`/v1/fleet/${path}`, signal), find(`/v1/tenants/${path}`, signal), find(`/v1/tenants/${path}/tier-fit`, signal), find(`/v1/tenants/${path}/sla`, signal)]);
  if (!one || !full || !sla) return nothingHere(t("tenant.missing", { tenant: id }), "/", t("nav.fleet"));
  if (wanted && !one.quotas.some((quota) => quota.resource === wanted)) return nothingHere(t("tenant.no_resource", { tenant: one.name, resource: wanted }), `/tenants/${path}`, one.name);
  const measured = one.quotas.filter((quota) => quota.usage !== null);
  const others = one.quotas.filter((quota) => quota.usage === null);
  const chosen = one.quotas.find((quota) => quota.resource === wanted) || measured.find((quota) => quota.recommendation) || measured[0] || one.quotas[0];
  const back = own.length ? null : h("p", { class: "back" }, h("a", { href: "/" }, `← ${t("nav.fleet")}`));
  return h("div", null,
    back,
    headline(one, full, fit),
    pauseNote(paused, context.user, context.again),
    promisesInShort(sla.items),
    measured.length ? quotaTable(one, measured, chosen.resource) : null,
    others.length
      ? h("details", { class: "quiet-list" }, h("summary", null, `${t("tenant.unmeasured")} (${whole(others.length)})`), facts(others.map((quota) => [word("resource", quota.resource), [`${plain(quota.limit)} ${unitOf(quota.resource, quota.unit)}`, quota.cost_now ? ` · ${money(quota.cost_now)}` : ""]])))
      : null,
    await chosenQuota(one, full, chosen, context),
    promisesOf(sla.items),
  );
}
