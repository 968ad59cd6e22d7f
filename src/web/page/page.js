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

const share = (part) => `${plain.format(Number((part * 100).toPrecision(2)))} %`;

// What each quota would have done on the past that is known, side by side.
function comparison(one) {
  const { evidence } = one;
  const table = element("table", undefined, "compare");
  table.append(element("caption", "On the past that is known"));
  const head = element("tr");
  for (const [name, kind] of [["Quota", ""], [one.unit, "number"], ["samples above", "number"], ["unused", "number"], ["a month", "number"]]) {
    const title = element("th", name, kind);
    title.scope = "col";
    head.append(title);
  }
  const line = (name, limit, violations, slack, cost) => {
    const made = element("tr");
    const title = element("th", name);
    title.scope = "row";
    const over = violations > evidence.budget ? "number bad" : "number";
    made.append(
      title,
      element("td", plain.format(limit), "number"),
      element("td", share(violations), over),
      element("td", share(slack), "number"),
      element("td", money(cost), "number"),
    );
    return made;
  };
  const body = element("tbody");
  body.append(
    line("today's", one.current, evidence.violations_now, evidence.slack_now, one.cost && one.cost.now),
    line("recommended", one.proposed, evidence.violations_then, evidence.slack_then, one.cost && one.cost.then),
    ...(evidence.alternatives || []).map((other) => line(other.name, other.limit, other.violations, other.slack, other.cost)),
  );
  const top = element("thead");
  top.append(head);
  table.append(top, body);
  return table;
}

// Why it is this much, how sure that is, and what would change it.
function grounds(one) {
  const { evidence } = one;
  const facts = [["Why", one.reasons.join(" ")]];
  const trial = evidence.backtest;
  if (trial) {
    const held = trial.proven ? "held" : "came nearest to";
    let words = `“${trial.policy}” × ${plain.format(trial.margin)} ${held} the budget on this tenant's own past.`;
    if (trial.days > 0) {
      words += ` Limits set in this way for ${trial.holds_hours} h each, over ${plain.format(Math.round(trial.days))} days: `;
      words += `${share(trial.violations)} of the samples above them, ${share(trial.slack)} unused, ${plain.format(Number(trial.changes_per_day.toFixed(1)))} changes a day.`;
    }
    facts.push(["Policy", words]);
  }
  facts.push([
    "Forecast peak",
    `${plain.format(evidence.forecast_peak)} ${one.unit} on ${when(evidence.peak_at)}, at the ${share(evidence.peak_quantile)} quantile.`,
  ]);
  facts.push(["Budget", `${share(evidence.budget)} of the samples may lie above the quota: ${evidence.budget_because}.`]);
  facts.push(["Confidence", `${one.confidence.toFixed(2)}, ${evidence.confidence_because}`]);
  if (evidence.would_change && evidence.would_change.length > 0) facts.push(["What would change it", evidence.would_change.join(" ")]);
  const list = element("dl");
  for (const [name, words] of facts) list.append(element("dt", name), element("dd", words));
  return list;
}

// A row below the recommendation's own, made when it is first asked for.
function evidenceButton(one, row) {
  const button = element("button", "Evidence", "plain");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", `Evidence for ${one.resource} of ${one.tenant}`);
  let below = null;
  button.addEventListener("click", () => {
    if (!below) {
      below = element("tr", undefined, "evidence");
      const whole = element("td");
      whole.colSpan = 8;
      const parts = element("div", undefined, "parts");
      parts.append(comparison(one), grounds(one));
      whole.append(parts);
      below.append(whole);
      below.hidden = true;
      row.after(below);
    }
    below.hidden = !below.hidden;
    button.setAttribute("aria-expanded", String(!below.hidden));
  });
  return button;
}

// The recommendation's row and the evidence below it.
function removeRow(row) {
  const below = row.nextElementSibling;
  if (below && below.classList.contains("evidence")) below.remove();
  row.remove();
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
  // Shortened to some lines; all of it stands in the evidence.
  const why = element("td", undefined, "why");
  why.append(element("span", one.reasons[0] || "", "short"), evidenceButton(one, made));
  made.append(
    tenant,
    element("td", one.resource),
    cell("td", `${plain.format(one.current)} → ${plain.format(one.proposed)}`, one.unit, "number"),
    cell("td", peak, when(evidence.peak_at), "number"),
    element("td", one.confidence.toFixed(2), "number"),
    costCell(one.cost),
    why,
    decide,
  );
  // On a narrow window the titles stand before the values.
  for (const [place, name] of [[2, "Quota"], [3, "Forecast peak"], [4, "Confidence"], [5, "A month"]]) {
    made.children[place].dataset.name = name;
  }
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
    removeRow(shown);
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
