// Dialogs that ask for a comment before something is written down.

import { h, tell } from "./dom.js";
import { t } from "./words.js";

// Asks in a dialog and does `work(fields)` when the reader agrees; the dialog
// stays open with what went wrong. `more` holds further fields as
// { name, element }. Gives what the work gave, or null where the reader left.
export function ask({ title, text, agree, commentLabel, needed = false, more = [], factor = false, work }) {
  return new Promise((done) => {
    const comment = h("textarea", { id: "ask-comment", rows: 3, required: needed });
    const code = h("input", { id: "ask-code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 6, pattern: "[0-9]{6}" });
    const codeField = h("p", { hidden: !factor }, h("label", { for: "ask-code" }, t("ask.code")), code);
    const trouble = h("p", { class: "bad", role: "alert", lang: "en" });
    const yes = h("button", { type: "submit", class: "main" }, agree);
    let outcome = null;
    const decide = async (event) => {
      event.preventDefault();
      yes.disabled = true;
      trouble.textContent = "";
      const fields = { comment: comment.value.trim(), headers: code.value ? { "X-TOTP-Code": code.value.trim() } : {} };
      for (const one of more) fields[one.name] = one.element.value;
      try {
        outcome = await work(fields);
        tell(title);
        dialog.close();
      } catch (problem) {
        trouble.textContent = problem.message;
        if (/second factor/.test(problem.message)) codeField.hidden = false;
        yes.disabled = false;
      }
    };
    const dialog = h("dialog", { "aria-labelledby": "ask-title" },
      h("form", { onsubmit: decide },
        h("h2", { id: "ask-title" }, title),
        text ? h("p", null, text) : null,
        more.map((one) => h("p", null, h("label", { for: one.element.id }, one.label), one.element)),
        h("label", { for: "ask-comment" }, commentLabel),
        comment,
        codeField,
        trouble,
        h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, t("ask.cancel")), yes),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(outcome);
    });
    document.body.append(dialog);
    dialog.showModal();
    (more.length ? more[0].element : comment).focus();
  });
}
