// The frame around the pages: who is logged in, where the reader is, and how
// the pages look. Each page is a function that fills the main part.

import { Refusal, find, logOut, whoIsIt } from "./api.js";
import { audit } from "./audit.js";
import { paint } from "./brand.js";
import { choice, h, nothingHere, s, tell } from "./dom.js";
import { fleet } from "./fleet.js";
import { incident } from "./incident.js";
import { incidents } from "./incidents.js";
import { login } from "./login.js";
import { models } from "./models.js";
import { reports } from "./reports.js";
import { rollout } from "./rollout.js";
import { rollouts } from "./rollouts.js";
import { tenant } from "./tenant.js";
import { languages, speak, spoken, t } from "./words.js";

const THEME = "plimsoll-theme";
const PAGES = [
  [/^\/$/, fleet],
  [/^\/login$/, login],
  [/^\/tenants\/([^/]+)(?:\/([^/]+))?$/, tenant],
  [/^\/incidents$/, incidents],
  [/^\/incidents\/([^/]+)$/, incident],
  [/^\/rollouts$/, rollouts],
  [/^\/rollouts\/([^/]+)$/, rollout],
  [/^\/reports$/, reports],
  [/^\/models$/, models],
  [/^\/audit$/, audit],
];
// What is of the whole fleet is not for those who are for some tenants.
const OF_FLEET = ["/incidents", "/rollouts", "/models", "/audit"];
const LINKS = [["/", "nav.fleet"], ["/incidents", "nav.incidents"], ["/rollouts", "nav.rollouts"], ["/reports", "nav.reports"], ["/models", "nav.models"], ["/audit", "nav.audit"]];

const main = document.getElementById("main");
let leaving = new AbortController();
let user = null;
let brand = "Plimsoll";
let logo = null;
let dressedFor = null;

function look(theme) {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem(THEME, theme);
}

function isHere(path) {
  if (path === "/") return location.pathname === "/" || location.pathname.startsWith("/tenants/");
  return location.pathname.startsWith(path);
}

function mark() {
  if (logo) return h("img", { src: logo, alt: "", class: "mark-logo" });
  return s("svg", { viewBox: "0 0 32 32", width: 22, height: 22, "aria-hidden": "true", class: "mark-sign" }, s("circle", { cx: 16, cy: 16, r: 10 }), s("path", { d: "M1 16h30" }));
}

function top() {
  const bar = document.getElementById("top");
  bar.hidden = !user;
  if (!user) return;
  // A token for some tenants can't see the pages of the whole fleet.
  const own = user.tenants.length ? user.tenants.map((id) => [`/tenants/${id}`, id]) : LINKS.map(([path, key]) => [path, t(key)]);
  const links = own.map(([path, text]) => h("a", { href: path, "aria-current": isHere(path) ? "page" : null }, text));
  const kept = localStorage.getItem(THEME) || "auto";
  const themes = ["auto", "light", "dark"].map((name) => [name, t(`theme.${name}`)]);
  bar.replaceChildren(
    h("a", { href: "/", class: "home" }, mark(), brand),
    h("nav", { "aria-label": t("nav.label") }, links),
    h("div", { class: "settings" },
      choice(t("settings.theme"), themes, kept, look, { "aria-label": t("settings.theme") }),
      choice(t("settings.language"), languages, spoken(), (wanted) => { speak(wanted); show(); }, { "aria-label": t("settings.language") }),
      h("span", { class: "who" }, h("b", null, user.name), " ", h("small", null, t(`role.${user.role}`))),
      h("button", { type: "button", id: "log-out", onclick: leave }, t("login.out")),
    ),
  );
}

// A WHITE_LABEL tenant's own people see its name, logo and colours in the place
// of ours. Nothing is loaded from elsewhere, so a logo is shown that the
// template holds.
async function dress() {
  paint();
  [brand, logo] = ["Plimsoll", null];
  if (!user || user.tenants.length !== 1) return;
  const settings = await find(`/v1/tenants/${encodeURIComponent(user.tenants[0])}/settings`).catch(() => null);
  const value = (name) => settings?.items.find((one) => one.path === `branding.${name}`)?.value;
  brand = value("product_name") || brand;
  const picture = value("logo_url") || "";
  if (picture.startsWith("data:image/")) logo = picture;
  paint(value("primary_color"), value("accent_color"));
}

// The page at an address, for who is logged in.
function pageAt(found, context) {
  const { user: who } = context;
  if (!found) return nothingHere(t("error.nothing"), "/", who?.tenants.length ? t("nav.own") : t("nav.fleet"));
  const isOfFleet = OF_FLEET.includes(location.pathname) || location.pathname.startsWith("/rollouts/");
  if (isOfFleet && who?.tenants.length) return nothingHere(t("error.of_fleet", { tenants: who.tenants.join(", ") }), "/", t("nav.own"));
  return found[1](context);
}

async function leave() {
  await logOut().catch(() => null);
  user = null;
  go("/login");
}

// Goes to another page without asking the server for the document again.
export function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  show({ moved: true });
}

function problemBox(problem) {
  const again = h("button", { type: "button", onclick: () => show() }, t("error.again"));
  return h("section", { class: "note bad", role: "alert" }, h("h1", null, t("error.title")), h("p", { lang: "en" }, problem.message), again);
}

async function show({ moved = false } = {}) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  document.getElementById("skip").textContent = t("nav.skip");
  user = user || (await whoIsIt());
  const path = location.pathname;
  if (!user && path !== "/login") {
    go(`/login?to=${encodeURIComponent(path + location.search)}`, { replace: true });
    return;
  }
  if (user && user.tenants.length && path === "/") {
    go(`/tenants/${user.tenants[0]}`, { replace: true });
    return;
  }
  if (dressedFor !== user) {
    dressedFor = user;
    await dress();
  }
  top();
  const found = PAGES.map(([shape, page]) => [shape.exec(path), page]).find(([match]) => match);
  main.setAttribute("aria-busy", "true");
  if (moved) main.replaceChildren(h("p", { class: "loading" }, t("loading")));
  const context = {
    user,
    signal,
    go,
    again: () => show(),
    parts: found ? found[0].slice(1).map((part) => part && decodeURIComponent(part)) : [],
    search: new URLSearchParams(location.search),
    entered: (who) => { user = who; },
  };
  try {
    const page = await pageAt(found, context);
    if (signal.aborted) return;
    main.replaceChildren(page);
    const title = main.querySelector("h1");
    document.title = title ? `${title.textContent} · ${brand}` : brand;
    if (moved) {
      main.focus({ preventScroll: true });
      scrollTo(0, 0);
      tell(document.title);
    }
  } catch (problem) {
    if (signal.aborted) return;
    if (!(problem instanceof Refusal && problem.status === 401)) main.replaceChildren(problemBox(problem));
  } finally {
    if (!signal.aborted) main.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest ? event.target.closest("a[href^='/']") : null;
  if (!link || link.target || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
// The session has ended, whichever question of the page found that out.
addEventListener("plimsoll-over", () => {
  if (!user) return;
  user = null;
  go(`/login?to=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
});
addEventListener("popstate", () => show({ moved: true }));
// A page is shown again where another tab or a fragment of the address asks
// for it.
addEventListener("hashchange", () => { if (location.hash.startsWith("#token=")) go(`/login${location.hash}`); });

look(localStorage.getItem(THEME) || "auto");
speak(spoken());
if (location.hash.startsWith("#token=")) go(`/login?to=${encodeURIComponent(location.pathname)}${location.hash}`, { replace: true });
else show().catch((problem) => main.replaceChildren(problemBox(problem)));
