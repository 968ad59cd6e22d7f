// Says that the usage is stale, that its source fails, leaves series out or has
// another clock, or that its history fails: since when, and what that means for
// what is recommended.

import { h } from "./dom.js";
import { when } from "./format.js";
import { t, word } from "./words.js";

const named = (resources) => resources.map((one) => word("resource", one)).join(", ");

// What the source was asked for: the usage of a resource, or something else.
const subject = (one) => (one.resource ? word("resource", one.resource) : word("asked", one.asked));

// Resources that have the same said of them stand in one line.
function together(all, key) {
  const groups = new Map();
  for (const one of all) groups.set(key(one), [...(groups.get(key(one)) || []), one]);
  return [...groups.values()];
}

// What the daemon says, which is English.
const cited = (text) => h("q", { lang: "en" }, text);

// A banner for the fleet: of which resources, since when, and what the source says.
export function staleNote({ source_problems: problems, refused_series: refused, clock_problem: clock, history_problem: history, stale, simulated }) {
  if (!problems.length && !refused.length && !clock && !history && (!stale.length || simulated)) return null;
  const old = together(stale, (one) => one.since).map((same) => h("p", null, h("b", null, t("stale.title")), " ", t("stale.fleet", { resources: named(same.map((one) => one.resource)), when: when(same[0].since) })));
  const failing = together(problems, (one) => one.message).map((same) => h("p", null, t("stale.source", { resources: named(same.map((one) => one.resource)), when: when(same[0].since) }), " ", cited(same[0].message)));
  const leftOut = together(refused, (one) => one.reasons.join()).map((same) => {
    const [first, ...more] = same[0].reasons;
    return h("p", null, t("stale.refused", { resources: same.map(subject).join(", ") }), " ", cited(first), more.length ? ` ${t("stale.more", { count: more.length })}` : null);
  });
  const apart = clock ? h("p", null, t("stale.clock"), " ", cited(clock)) : null;
  const unkept = history ? h("p", null, t("stale.history"), " ", cited(history)) : null;
  return h("section", { class: "note bad", id: "stale", "aria-label": t("fleet.sources") }, old, failing, leftOut, apart, unkept, old.length ? h("p", { class: "quiet" }, t("stale.meaning")) : null);
}

// A mark on what is recommended for one quota.
export function staleMark(quota) {
  if (!quota.stale_since) return null;
  return h("p", { class: "note bad", id: "stale" }, h("b", null, t("stale.title")), " ", t("stale.quota", { when: when(quota.stale_since) }), " ", t("stale.meaning"));
}
