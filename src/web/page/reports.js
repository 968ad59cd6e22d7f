// Reports: one made now, of the fleet or a tenant, and those that schedules
// have made. Each is a file of its own, opened beside this page.

import { get, query } from "./api.js";
import { choice, h, table } from "./dom.js";
import { day, when } from "./format.js";
import { languages, spoken, t } from "./words.js";

const PAGE = 50;
const DAY = 86400e3;
const FORMATS = ["html", "pdf-ready", "markdown", "csv", "json", "parquet"];

// A link to a report in some format, in the reader's language.
export function reportLink(path, format, text, more = {}) {
  return h("a", { href: `${path}${query({ format, language: spoken(), ...more })}`, target: "_blank", rel: "noopener", class: "button" }, text);
}

function row(one, language) {
  const path = `/v1/reports/${one.id}`;
  return h("tr", null,
    h("th", { scope: "row" }, when(one.due_at), h("small", null, one.schedule)),
    h("td", null, one.tenant ? h("a", { href: `/tenants/${encodeURIComponent(one.tenant)}` }, one.tenant) : t("reports.fleet")),
    h("td", { class: "mid nowrap" }, `${day(one.range.start)} – ${day(one.range.end)}`),
    h("td", null, h("div", { class: "buttons start" }, ["html", "pdf-ready", "csv"].map((format) => reportLink(path, format, t(`reports.format.${format}`), { language })))));
}

// Which tenant a report is on: any, or one of those that the reader is for.
function whose(own, set) {
  if (own.length) return choice(t("column.tenant"), own.map((id) => [id, id]), own[0], set, { id: "report-tenant" });
  return h("label", { class: "field grow" }, h("span", null, t("reports.tenant")), h("input", { id: "report-tenant", autocomplete: "off", spellcheck: "false", oninput: (event) => set(event.target.value) }));
}

// What is asked for becomes the address of a link.
function maker(now, own) {
  const asked = { tenant: own[0] || "", days: "7", format: "html", language: spoken() };
  const place = h("div");
  const show = () => {
    const path = asked.tenant ? `/v1/reports/tenants/${encodeURIComponent(asked.tenant)}` : "/v1/reports/fleet";
    const from = new Date(now - Number(asked.days) * DAY).toISOString();
    place.replaceChildren(reportLink(path, asked.format, t("reports.make"), { language: asked.language, from }));
  };
  const set = (name) => (value) => { asked[name] = value.trim(); show(); };
  show();
  return h("section", { class: "card", "aria-labelledby": "report-now" },
    h("h2", { id: "report-now" }, t("reports.now")),
    h("div", { class: "filters" },
      whose(own, set("tenant")),
      choice(t("reports.range"), ["1", "7", "28", "92"].map((days) => [days, t(`reports.range.${days}`)]), asked.days, set("days")),
      choice(t("reports.format"), FORMATS.map((one) => [one, t(`reports.format.${one}`)]), asked.format, set("format")),
      choice(t("reports.language"), languages, asked.language, set("language"), { id: "report-language" }),
      place));
}

export async function reports({ signal, user }) {
  // The reports of schedules are of the whole fleet; who is for some tenants
  // makes theirs.
  if (user.tenants.length) return h("div", null, h("h1", null, t("nav.reports")), maker(Date.now(), user.tenants), h("p", { class: "quiet" }, t("reports.own")));
  const [page, summary] = await Promise.all([get(`/v1/reports${query({ limit: PAGE })}`, signal), get("/v1/summary", signal)]);
  // The daemon's present, which is not the reader's where usage is made up.
  const now = summary.simulated && summary.last_cycle_at ? Date.parse(summary.last_cycle_at) : Date.now();
  let kept = spoken();
  const titles = [[t("reports.due"), ""], [t("reports.about"), ""], [t("reports.range"), "mid"], [t("reports.open"), ""]];
  const sheet = table(t("reports.kept"), titles.map(([title, kind]) => ({ title, kind })), page.items.map((one) => row(one, kept)), "rows");
  // Those that are shown change with the choice.
  const speakOf = choice(t("reports.language"), languages, kept, (wanted) => {
    kept = wanted;
    for (const link of sheet.querySelectorAll("a[target]")) link.href = link.getAttribute("href").replace(/language=\w+/, `language=${wanted}`);
  }, { id: "kept-language" });
  let { next } = page;
  const more = h("button", { type: "button", hidden: !next, onclick: async () => {
    const further = await get(`/v1/reports${query({ limit: PAGE, cursor: next })}`, signal);
    sheet.querySelector("tbody").append(...further.items.map((one) => row(one, kept)));
    next = further.next;
    more.hidden = !next;
  } }, t("page.more"));
  return h("div", null,
    h("h1", null, t("nav.reports")),
    maker(now, []),
    h("div", { class: "headline" }, h("h2", null, t("reports.kept")), page.items.length ? speakOf : null),
    page.items.length ? h("div", { class: "sheet" }, sheet) : h("p", { class: "note" }, t("reports.none")),
    more);
}
