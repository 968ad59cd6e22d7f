// What another quota would have meant over the samples that are known, reckoned
// here, so that a slider answers at once.

import { h, table } from "./dom.js";
import { NOTHING, day, fixed, plain, share, unitOf, whole } from "./format.js";
import { t } from "./words.js";

// A sample lies above a quota where it is more than this above it, as in the
// daemon's own reckoning.
const ABOVE = 1 + 1e-6;

// Known samples, sorted, with the sums of all up to each, so that any quota is
// answered by one search.
export function prepared(values) {
  const sorted = Float64Array.from(values.filter((value) => value !== null)).sort();
  const sums = new Float64Array(sorted.length + 1);
  sorted.forEach((value, index) => { sums[index + 1] = sums[index] + value; });
  return { sorted, sums };
}

// The share of samples above a quota, and the unused share of it.
export function held({ sorted, sums }, limit) {
  const firstAbove = (border) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] > border) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const count = sorted.length || 1;
  const above = sorted.length - firstAbove(limit * ABOVE);
  const below = firstAbove(limit);
  return { above, violations: above / count, slack: (below * limit - sums[below]) / limit / count };
}

function steps(quota) {
  return ["cpu_cores", "memory_gb"].includes(quota.resource) ? 0.1 : 1;
}

// How long so many samples last, in hours.
function hours(above, stepSeconds) {
  const long = (above * stepSeconds) / 3600;
  return long >= 10 ? `${whole(long)} h` : `${fixed(long, 1)} h`;
}

export function whatIf({ quota, points, recommendation, tried }) {
  const evidence = recommendation ? recommendation.evidence : null;
  const [from, to] = evidence ? [Date.parse(evidence.history_from), Date.parse(evidence.history_to)] : [points[0].at, points[points.length - 1].at];
  const inside = points.filter((point) => point.at >= from && point.at <= to && point.value !== null);
  const samples = prepared(inside.map((point) => point.value));
  const stepSeconds = points.length > 1 ? (points[1].at - points[0].at) / 1000 : 300;
  const step = steps(quota);
  const most = Math.max(quota.limit, quota.peak, quota.proposed || 0) * 1.25;
  const price = quota.price ? Number(quota.price.amount) : null;
  const cost = (limit) => (price === null ? null : price * limit);
  const start = quota.proposed ?? quota.limit;

  const line = (name, kind, limit) => {
    const { above, violations, slack } = held(samples, limit);
    const saving = price === null ? null : cost(quota.limit) - cost(limit);
    const number = (value, more = "") => h("td", { class: `number ${more}` }, value);
    return h("tr", { class: kind },
      h("th", { scope: "row" }, name),
      number(plain(limit)),
      number(share(violations, 2), violations > quota.budget ? "bad" : ""),
      number(hours(above, stepSeconds), "mid"),
      number(share(slack, 0)),
      number(price === null ? NOTHING : fixed(cost(limit), 2)),
      number(saving === null ? NOTHING : fixed(saving, 2), `mid ${saving < 0 ? "more" : saving > 0 ? "less" : ""}`),
    );
  };
  const currency = () => (quota.price ? h("small", null, t("unit.per_month", { currency: quota.price.currency })) : null);
  const titles = [["", ""], [[t("whatif.quota"), h("small", null, unitOf(quota.resource, quota.unit))], "number"], [t("whatif.above"), "number"], [t("whatif.time"), "number mid"], [t("whatif.unused"), "number"], [[t("whatif.cost"), currency()], "number"], [[t("whatif.saving"), currency()], "number mid"]];
  const own = h("tbody", { class: "own", "aria-live": "polite" });
  const rows = [line(t("whatif.now"), "now", quota.limit), quota.recommendation ? line(t("whatif.proposed"), "proposed", quota.proposed) : null].filter(Boolean);
  const compared = table(t("tenant.whatif"), titles.map(([title, kind]) => ({ title, kind })), rows, "compare");
  compared.append(own);
  const shown = h("output", { for: "slider" });
  const slider = h("input", { id: "slider", type: "range", min: step, max: Math.ceil(most / step) * step, step, value: start });
  const move = (told) => {
    const limit = Number(slider.value);
    shown.textContent = `${plain(limit)} ${unitOf(quota.resource, quota.unit)}`;
    slider.setAttribute("aria-valuetext", shown.textContent);
    own.replaceChildren(line(t("whatif.slider"), "tried", limit));
    if (told) tried(limit);
  };
  slider.addEventListener("input", () => move(true));
  move(false);
  return h("section", { class: "card whatif", "aria-labelledby": "whatif-title" },
    h("h3", { id: "whatif-title" }, t("tenant.whatif")),
    h("p", { class: "quiet" }, t("tenant.whatif_text", { samples: whole(inside.length), from: day(from), to: day(to), budget: share(quota.budget, 2) })),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "whatif-title" }, compared),
    h("p", { class: "slider" }, h("label", { for: "slider" }, t("tenant.slider")), slider, shown),
  );
}
