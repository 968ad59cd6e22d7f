// The switch that stops all changes of quotas: who threw it and why, and the
// way back, for those who may.

import { put, remove } from "./api.js";
import { ask } from "./decide.js";
import { h } from "./dom.js";
import { when } from "./format.js";
import { actor } from "./history.js";
import { t } from "./words.js";

// Stops all changes; nothing where that has been done, or for viewers.
export function pauseButton(paused, user, again) {
  if (paused || user.role === "viewer") return null;
  const stop = async () => {
    const done = await ask({
      title: t("pause.stop_title"),
      text: t("pause.stop_text"),
      agree: t("pause.stop_agree"),
      commentLabel: t("pause.reason"),
      needed: true,
      work: ({ comment }) => put("/v1/pause", { reason: comment }),
    });
    if (done) again();
  };
  return h("button", { type: "button", id: "stop-changes", onclick: stop }, t("pause.stop"));
}

// Says that changes are stopped, to everybody; approvers may resume.
export function pauseNote(paused, user, again) {
  if (!paused) return null;
  const resume = () => ask({
    title: t("pause.resume_title"),
    text: t("pause.resume_text"),
    agree: t("pause.resume_agree"),
    work: () => remove("/v1/pause").then(again),
  });
  const may = ["approver", "admin"].includes(user.role);
  return h("section", { class: "note bad", id: "paused", "aria-label": t("pause.title") },
    h("p", null, h("b", null, t("pause.title")), " ", t("pause.who", { who: actor(paused.by), when: when(paused.at) }), " ", h("q", null, paused.reason)),
    h("p", { class: "quiet" }, t("pause.meaning")),
    may ? h("button", { type: "button", id: "resume-changes", onclick: resume }, t("pause.resume")) : null);
}
