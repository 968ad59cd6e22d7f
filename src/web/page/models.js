// How good the forecasts are: of each resource the versions of its models, what
// each was worth, which one is used, and why.

import { get } from "./api.js";
import { timeChart } from "./chart.js";
import { h, sheet, table } from "./dom.js";
import { NOTHING, day, fixed, share, when, whole } from "./format.js";
import { tellOf, told } from "./told.js";
import { t, word } from "./words.js";

const loss = (score) => (score && score.to_seasonal_naive !== null ? score.to_seasonal_naive : null);
const cover = (version) => (version.live && version.live.cover !== null ? version.live.cover : version.backtest ? version.backtest.cover : null);

// An interval that holds far more or far fewer values than it should.
const COVER_FROM = 0.7;
const COVER_TO = 0.9;

const lossOf = (version) => loss(version.live) ?? loss(version.backtest);

// How much less a version lost than something else, in words; `ratio` is its
// loss beside the other's.
function beside(ratio, other) {
  const part = Math.abs(1 - ratio);
  if (part < 0.005) return t("models.same", { other });
  return t(ratio < 1 ? "models.better" : "models.worse", { part: share(part, 0), other });
}

// What a version was worth beside the naive one and the next best version.
function verdict(version, all) {
  const own = lossOf(version);
  if (own === null) return null;
  const rivals = all.filter((one) => one !== version && loss(one.backtest) !== null).sort((a, b) => loss(a.backtest) - loss(b.backtest));
  const next = loss(version.backtest) === null ? null : rivals[0];
  return [
    beside(own, t("models.naive")),
    next ? beside(loss(version.backtest) / loss(next.backtest), t("models.next", { version: whole(next.version) })) : null,
  ].filter(Boolean);
}

// The models that lead in the mix, with what they weigh.
function mix(version) {
  const members = (version.members || []).map(({ name, weight }) => `${tellOf(name)[0]} ${share(weight, 0)}`);
  return members.length ? t("models.members", { members: members.join(", ") }) : null;
}

function coverCell(version) {
  const part = cover(version);
  const off = part === null ? null : part < COVER_FROM ? "narrow" : part > COVER_TO ? "wide" : null;
  return h("td", { class: `number ${off ? "bad" : ""}` }, share(part), off ? h("small", null, t(`models.too_${off}`)) : null);
}

function row(version, all, name = null) {
  const number = (value, kind = "") => h("td", { class: `number ${kind}` }, value);
  const worth = (score, kind) => number(loss(score) === null ? NOTHING : fixed(loss(score), 3), loss(score) > 1 ? `${kind} bad` : kind);
  const named = t("models.number", { version: whole(version.version) });
  const said = [...(verdict(version, all) || []), mix(version)].filter(Boolean);
  return h("tr", { class: version.state === "champion" ? "chosen" : null },
    h("th", { scope: "row" }, name || named, h("small", null, name ? named : word("modelstate", version.state)), h("small", { class: "below-wide" }, said[0])),
    h("td", { class: "nowrap mid" }, when(version.fitted_at), h("small", null, `${day(version.window_from)} – ${day(version.window_to)}`)),
    number(whole(version.series), "mid"),
    worth(version.backtest, "mid"),
    worth(version.live, ""),
    coverCell(version),
    number(version.live ? whole(version.live.values) : NOTHING, "wide"),
    h("td", { class: "text wide" }, said.map((one) => h("div", null, one)), told(version.reason, "small", { class: "free" })));
}

// A figure of each version over time, live and in its backtest, beside what it
// should be.
function course({ versions, value, label, aim, top }) {
  const inTime = [...versions].sort((a, b) => Date.parse(a.fitted_at) - Date.parse(b.fitted_at));
  const points = (which) => inTime.filter((one) => value(one[which]) !== null).map((one) => ({ at: Date.parse(one.fitted_at), value: value(one[which]) }));
  const [backtest, live] = [points("backtest"), points("live")];
  if (backtest.length < 2 && live.length < 2) return null;
  const all = [...backtest, ...live];
  const dots = (some, kind) => some.map((point) => ({ ...point, kind }));
  return timeChart({
    label,
    unit: "",
    from: Math.min(...all.map((point) => point.at)),
    to: Math.max(...all.map((point) => point.at)) + 1,
    lines: [{ kind: "median", name: t("models.backtest"), points: backtest }, { kind: "usage", name: t("models.live"), points: live }],
    levels: [{ kind: "quota", ...aim }],
    marks: [...dots(backtest, "soft"), ...dots(live, "dot")],
    top: Math.max(top, ...all.map((point) => point.value * 1.05)),
  }, 180).figure;
}

function courses(resource, versions) {
  const name = word("resource", resource);
  const covered = (score) => (score && score.cover !== null ? score.cover : null);
  return [
    course({ versions, value: loss, label: t("models.chart", { resource: name }), aim: { name: t("models.naive"), value: 1 }, top: 1.1 }),
    course({ versions, value: covered, label: t("models.cover_chart", { resource: name }), aim: { name: t("models.cover_aim"), value: 0.8 }, top: 1 }),
  ].map((figure, at) => (figure ? [h("h3", null, t(at ? "models.cover_title" : "models.loss_title")), figure] : null));
}

const TITLES = () => [[t("models.version"), ""], [[t("models.fitted"), h("small", null, t("models.window"))], "mid"], [t("models.series"), "number mid"], [t("models.loss_backtest"), "number mid"], [t("models.loss_live"), "number"], [t("models.cover"), "number"], [t("models.values"), "number wide"], [t("models.why"), "wide"]];

const rowsOn = (name, titles, rows) => sheet(name, table(name, titles.map(([title, kind]) => ({ title, kind })), rows, "rows"));

// The versions in use, a line a resource.
function inUse(items) {
  const champions = items.filter((one) => one.state === "champion");
  const rows = champions.map((one) => {
    const made = row(one, items.filter((other) => other.resource === one.resource), word("resource", one.resource));
    made.removeAttribute("class");
    return made;
  });
  const [, ...others] = TITLES();
  return rowsOn(t("models.in_use"), [[t("models.in_use"), ""], ...others], rows);
}

function versions(resource, all) {
  return h("section", { "aria-labelledby": `models-${resource}` },
    h("h2", { id: `models-${resource}` }, word("resource", resource)),
    courses(resource, all),
    rowsOn(word("resource", resource), TITLES(), all.map((one) => row(one, all))));
}

export async function models({ signal }) {
  const { items } = await get("/v1/models", signal);
  const resources = [...new Set(items.map((one) => one.resource))];
  const of = (resource) => items.filter((one) => one.resource === resource);
  const several = resources.filter((resource) => of(resource).length > 1);
  return h("div", null,
    h("h1", null, t("nav.models")),
    h("p", null, t("models.mix")),
    h("p", { class: "quiet" }, t("models.text")),
    items.length ? inUse(items) : h("p", { class: "note" }, t("models.none")),
    items.length && !several.length ? h("p", { class: "quiet" }, t("models.one_version")) : null,
    several.map((resource) => versions(resource, of(resource))));
}
