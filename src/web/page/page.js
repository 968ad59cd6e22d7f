// Shows what waits, and lets a person decide. Data is only ever set as text.
"use strict";

const KEY = "plimsoll-token";
const PAGE = 100;
const at = (id) => document.getElementById(id);
let cursor = null;
let deciding = null;

// A token in the address is taken once and removed, so that it stays in no
// history and no screenshot.
function tokenFromAddress() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname);
}

async function call(method, path, body) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(KEY)}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 401) {
    sessionStorage.removeItem(KEY);
    throw new Error("This token is not known.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail || response.statusText);
  return answer;
}

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const money = (sum) => (sum ? `${cents.format(Number(sum.amount))} ${sum.currency}` : "no price");
const when = (text) =>
  new Date(text).toLocaleString("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function showFigures(summary) {
  const figures = [
    ["tenants", plain.format(summary.tenants)],
    ["recommendations wait", plain.format(summary.waiting)],
    ["a month now", money(summary.cost_now)],
    ["a month then", money(summary.cost_then)],
    ["saving a month", money(summary.saving)],
    ["open incidents", plain.format(summary.open_incidents)],
    ["last cycle", summary.last_cycle_at ? when(summary.last_cycle_at) : "none yet"],
  ];
  at("figures").replaceChildren(
    ...figures.map(([name, value]) => {
      const card = element("div", undefined, "figure");
      card.append(element("b", value), element("span", name));
      return card;
    }),
  );
  at("figures").hidden = false;
  at("simulated").hidden = !summary.simulated;
  const troubles = summary.source_problems.map((one) => element("p", `${one.resource}, since ${when(one.since)}: ${one.message}`));
  at("troubles").replaceChildren(...troubles);
  at("troubles").hidden = troubles.length === 0;
}

const savingOf = (one) => (one.cost ? Number(one.cost.saving.amount) : 0);

// A cell with a quieter second line.
function cell(name, first, second, kind, secondKind) {
  const made = element(name, first, kind);
  if (second) made.append(element("small", second, secondKind));
  return made;
}

function costCell(cost) {
  if (!cost) return cell("td", "no price", "", "number");
  const saving = Number(cost.saving.amount);
  const words = saving < 0 ? `costs ${cents.format(-saving)} more` : `saves ${cents.format(saving)}`;
  const change = `${cents.format(Number(cost.now.amount))} → ${money(cost.then)}`;
  return cell("td", change, words, "number", saving < 0 ? "bad" : "good");
}

function row(one) {
  const { evidence } = one;
  const made = element("tr");
  const tenant = cell("th", one.tenant, one.tier);
  tenant.scope = "row";
  const peak = `${plain.format(evidence.forecast_peak)} at q${Math.round(evidence.peak_quantile * 1000) / 10}`;
  const decide = element("td", undefined, "decide");
  for (const [verb, name] of [["approve", "Approve"], ["reject", "Reject"]]) {
    const button = element("button", name);
    button.type = "button";
    button.setAttribute("aria-label", `${name} ${one.resource} of ${one.tenant}`);
    button.addEventListener("click", () => ask(one, verb, name, made));
    decide.append(button);
  }
  made.append(
    tenant,
    element("td", one.resource),
    cell("td", `${plain.format(one.current)} → ${plain.format(one.proposed)}`, one.unit, "number"),
    cell("td", peak, when(evidence.peak_at), "number"),
    element("td", one.confidence.toFixed(2), "number"),
    costCell(one.cost),
    element("td", one.reasons.join(" "), "why"),
    decide,
  );
  return made;
}

function ask(one, verb, name, shown) {
  deciding = { one, verb, shown };
  at("decide-title").textContent =
    `${name} ${one.resource} of ${one.tenant}: ${plain.format(one.current)} → ${plain.format(one.proposed)} ${one.unit}`;
  at("comment-label").textContent = verb === "reject" ? "Why not? (needed)" : "Comment";
  at("comment").value = "";
  at("decide-problem").textContent = "";
  at("decide-yes").textContent = name;
  at("decide").showModal();
}

async function decide() {
  const { one, verb, shown } = deciding;
  const text = at("comment").value.trim();
  const body = verb === "reject" ? { reason: text } : text ? { comment: text } : {};
  try {
    await call("POST", `/v1/recommendations/${one.id}/${verb}`, body);
    at("decide").close();
    shown.remove();
    showFigures(await call("GET", "/v1/summary"));
    tell(`${verb === "approve" ? "Approved" : "Rejected"}: ${one.resource} of ${one.tenant}.`);
  } catch (problem) {
    at("decide-problem").textContent = problem.message;
  }
}

function tell(text) {
  at("message").textContent = text;
}

async function more() {
  const next = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
  const page = await call("GET", `/v1/recommendations?state=proposed&limit=${PAGE}${next}`);
  cursor = page.next;
  const bySaving = page.items.sort((a, b) => savingOf(b) - savingOf(a));
  at("rows").append(...bySaving.map(row));
  at("more").hidden = !cursor;
  return page.items.length;
}

async function show() {
  const known = sessionStorage.getItem(KEY) !== null;
  at("enter").hidden = known;
  at("leave").hidden = !known;
  for (const id of ["figures", "troubles", "waiting"]) at(id).hidden = true;
  if (!known) {
    tell("Enter the token that the daemon printed at its first start.");
    return;
  }
  tell("Loading…");
  try {
    showFigures(await call("GET", "/v1/summary"));
    cursor = null;
    at("rows").replaceChildren();
    const count = await more();
    at("waiting").hidden = count === 0;
    tell(count === 0 ? "No recommendation waits: every quota fits, or nothing can be said yet." : "");
  } catch (problem) {
    tell(problem.message);
    at("enter").hidden = sessionStorage.getItem(KEY) !== null;
    at("leave").hidden = !at("enter").hidden;
  }
}

at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("token").value.trim());
  at("token").value = "";
  show();
});
at("leave").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  show();
});
at("more").addEventListener("click", () => more().catch((problem) => tell(problem.message)));
at("decide-yes").addEventListener("click", decide);
addEventListener("hashchange", () => {
  tokenFromAddress();
  show();
});
tokenFromAddress();
show();
