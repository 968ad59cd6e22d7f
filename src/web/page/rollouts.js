// Changes that go out in steps.

import { h } from "./dom.js";
import { t } from "./words.js";

export async function rollouts() {
  return h("div", null, h("h1", null, t("nav.rollouts")), h("p", { class: "note" }, t("rollouts.missing")));
}
