// The way in: a token, sent once, becomes a session that scripts can't read.

import { logIn } from "./api.js";
import { h } from "./dom.js";
import { tellOf } from "./told.js";
import { t } from "./words.js";

// Only a place on this server, so that a link can't lead elsewhere.
function target(search) {
  const wanted = search.get("to") || "/";
  return /^\/(?!\/|\\)/.test(wanted) && !wanted.startsWith("/login") ? wanted : "/";
}

export async function login({ search, go, user, entered }) {
  // A token in the address is taken once and removed, so that it stays in no
  // history and no screenshot.
  const given = /^#token=(.+)$/.exec(location.hash);
  if (given) {
    history.replaceState(null, "", location.pathname + location.search);
    try {
      entered((await logIn(decodeURIComponent(given[1]))).token);
      go(target(search), { replace: true });
      return h("p");
    } catch (problem) {
      return form(tellOf(problem.message)[0]);
    }
  }
  if (user) {
    go(target(search), { replace: true });
    return h("p");
  }
  return form("");

  function form(message) {
    const token = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "login-help" });
    const trouble = h("p", { id: "login-problem", class: "bad", role: "alert" }, message);
    const enter = async (event) => {
      event.preventDefault();
      trouble.textContent = "";
      try {
        entered((await logIn(token.value.trim())).token);
        go(target(search), { replace: true });
      } catch (problem) {
        [trouble.textContent] = tellOf(problem.message);
        token.select();
      }
    };
    return h("form", { id: "login", class: "card", onsubmit: enter },
      h("h1", null, t("login.title")),
      h("p", { id: "login-help", class: "quiet" }, t("login.help")),
      h("label", { for: "token" }, t("login.token")),
      token,
      trouble,
      h("button", { type: "submit", class: "main" }, t("login.in")),
    );
  }
}
