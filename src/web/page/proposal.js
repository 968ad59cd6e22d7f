// What is recommended for a quota, why, and the decision on it.

import { post } from "./api.js";
import { ask } from "./decide.js";
import { facts, h, table, tell } from "./dom.js";
import { amount, fixed, money, plain, share, unitOf, when } from "./format.js";
import { tellOf, told } from "./told.js";
import { t, word } from "./words.js";

function evidence({ evidence: rests, resource, unit: given, cost }) {
  const unit = unitOf(resource, given);
  const trial = rests.backtest;
  const policy = trial ? t(trial.proven ? "evidence.policy_held" : "evidence.policy_nearest", { policy: trial.policy, margin: plain(trial.margin) }) : null;
  const over = trial && trial.days > 0 ? t("evidence.trial", { days: plain(Math.round(trial.days)), violations: share(trial.violations, 2), slack: share(trial.slack, 0), changes: fixed(trial.changes_per_day, 1) }) : "";
  const others = (rests.alternatives || []).map((one) =>
    h("tr", null, h("th", { scope: "row", lang: "en" }, one.name), h("td", { class: "number" }, plain(one.limit)), h("td", { class: "number" }, share(one.violations, 2)), h("td", { class: "number" }, share(one.slack, 0)), h("td", { class: "number" }, one.cost ? amount(one.cost) : "–")));
  const titles = [["", ""], [[t("whatif.quota"), h("small", null, unit)], "number"], [t("whatif.above"), "number"], [t("whatif.unused"), "number"], [[t("whatif.cost"), cost ? h("small", null, t("unit.per_month", { currency: cost.now.currency })) : null], "number"]];
  return h("details", { class: "evidence" },
    h("summary", null, t("evidence.title")),
    facts([
      [t("evidence.peak"), t("evidence.peak_text", { peak: plain(rests.forecast_peak), unit, when: when(rests.peak_at), quantile: share(rests.peak_quantile, 1), model: word("model", rests.model) })],
      [t("evidence.usage"), t("evidence.usage_text", { median: plain(rests.usage_median), p95: plain(rests.usage_p95), max: plain(rests.usage_max), unit })],
      [t("evidence.budget"), rests.budget ? t("evidence.budget_text", { budget: share(rests.budget, 2), because: tellOf(rests.budget_because)[0] }) : null],
      [t("evidence.policy"), policy ? `${policy} ${over}` : null],
      [t("evidence.confidence"), rests.confidence_because ? told(rests.confidence_because) : null],
      [t("evidence.would_change"), rests.would_change && rests.would_change.length ? told(rests.would_change.join(" ")) : null],
    ]),
    others.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("evidence.others") }, h("h4", null, t("evidence.others")), table(t("evidence.others"), titles.map(([title, kind]) => ({ title, kind })), others, "compare")) : null,
  );
}

function worth(cost) {
  if (!cost) return null;
  const saving = Number(cost.saving.amount);
  if (saving === 0) return h("span", null, money(cost.now));
  const sum = money({ ...cost.saving, amount: Math.abs(saving) });
  return h("span", { class: saving < 0 ? "more" : "less" }, saving < 0 ? t("tenant.costs", { amount: sum }) : t("tenant.saves", { amount: sum }));
}

export function proposal({ one, full, quota, recommendation, forecast, user, go }) {
  if (!recommendation || !["proposed", "awaits_second"].includes(recommendation.state.state)) {
    const abstained = quota.outcome === "abstain";
    const decided = quota.outcome === "change";
    const title = !quota.outcome ? t("tenant.not_yet") : t(decided ? "tenant.decided" : abstained ? "tenant.abstain" : "tenant.keep");
    const why = quota.reason || (forecast && forecast.reason) || "";
    return h("aside", { class: "card proposal", "aria-labelledby": "proposal-title" },
      h("h3", { id: "proposal-title" }, title),
      decided ? h("p", null, t("tenant.decided_text")) : null,
      why ? told(why, "p") : null);
  }
  const values = { resource: word("resource", quota.resource), tenant: one.name, from: plain(recommendation.current), to: plain(recommendation.proposed), unit: unitOf(recommendation.resource, recommendation.unit) };
  const factor = Boolean(full.template && full.template.mfa_required);
  const here = `/tenants/${encodeURIComponent(one.tenant)}/${quota.resource}`;
  const after = (text) => { go(here, { replace: true }); tell(text); };
  const approve = () =>
    ask({
      title: t("decide.approve", values),
      agree: t("tenant.approve"),
      commentLabel: t("decide.comment"),
      factor,
      work: async ({ comment, headers }) => {
        const done = await post(`/v1/recommendations/${recommendation.id}/approve`, comment ? { comment } : {}, headers);
        return done.quota ? t("decide.approved", { limit: plain(done.quota.limit), unit: values.unit }) : t("decide.waits", { when: when(done.state.until) });
      },
    }).then((text) => text && after(text));
  const reject = () =>
    ask({
      title: t("decide.reject", values),
      agree: t("tenant.reject"),
      commentLabel: t("decide.reason"),
      needed: true,
      factor,
      work: async ({ comment, headers }) => {
        await post(`/v1/recommendations/${recommendation.id}/reject`, { reason: comment }, headers);
        return t("decide.rejected");
      },
    }).then((text) => text && after(text));
  const may = ["approver", "admin"].includes(user.role);
  return h("aside", { class: "card proposal", "aria-labelledby": "proposal-title" },
    h("h3", { id: "proposal-title" }, t("tenant.recommended")),
    h("p", { class: "change" }, t("tenant.change", values)),
    h("p", null, worth(recommendation.cost), recommendation.no_cost_because ? told(recommendation.no_cost_because) : null),
    h("p", { class: "quiet" }, `${t("tenant.confidence", { confidence: fixed(recommendation.confidence, 2) })} · ${t("tenant.until", { when: when(recommendation.expires_at) })}`),
    recommendation.state.state === "awaits_second" ? h("p", null, t("tenant.first", { by: recommendation.state.by.name, when: when(recommendation.state.at) })) : null,
    may
      ? h("div", { class: "buttons" }, h("button", { type: "button", onclick: reject }, t("tenant.reject")), h("button", { type: "button", class: "main", onclick: approve }, t("tenant.approve")))
      : h("p", { class: "quiet" }, t("tenant.may_not")),
    quota.held_back_by ? h("p", { class: "quiet" }, t("tenant.held", { why: "" }), told(quota.held_back_by)) : null,
    h("h4", null, t("tenant.reasons")),
    h("ul", { class: "reasons" }, recommendation.reasons.map((reason) => told(reason, "li"))),
    evidence(recommendation),
  );
}
