// What was changed and decided, as the audit log tells it.

import { h, said, sheet, table } from "./dom.js";
import { exactly, plain, when } from "./format.js";
import { t, word } from "./words.js";

const SHOWN = ["quota_changed", "recommendation_approved", "recommendation_rejected", "first_approval_given", "first_approval_lapsed", "change_requested", "change_request_approved", "change_request_rejected", "change_request_lapsed", "change_failed", "target_repaired"];

// What stood before and stands since, short.
export function step(line) {
  const limit = (value) => (typeof value === "number" ? value : value && typeof value.limit === "number" ? value.limit : null);
  const [before, after] = [limit(line.before), limit(line.after)];
  if (before === null || after === null) return "";
  return before === after ? plain(after) : `${plain(before)} → ${plain(after)}`;
}

export function changes(log) {
  const rows = log.filter((line) => SHOWN.includes(line.action)).map((line) =>
    h("tr", null,
      h("td", { class: "nowrap", title: exactly(line.at) }, when(line.at)),
      h("th", { scope: "row" }, word("action", line.action)),
      h("td", { class: "mid" }, actor(line.actor)),
      h("td", { class: "number" }, step(line)),
      h("td", { class: "text wide" }, said(line.reason))));
  const titles = [[t("history.when"), ""], [t("history.what"), ""], [t("history.who"), "mid"], [t("history.change"), "number"], [t("history.why"), "wide"]];
  return h("section", { "aria-labelledby": "history-title" },
    h("h2", { id: "history-title" }, t("history.title")),
    rows.length ? sheet(t("history.title"), table(t("history.title"), titles.map(([title, kind]) => ({ title, kind })), rows, "rows")) : h("p", { class: "note" }, t("history.none")));
}

// Whoever did something: a person's name, or the daemon.
export const actor = (who) => (who ? who.name || "plimsoll" : "");
