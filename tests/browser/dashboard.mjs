// The dashboard in a real browser on the real daemon: every page, in light and
// dark and on a phone; a decision, a silence and what a person says of an
// incident; the switch that stops all changes; the way in and out. Anything that the browser complains of fails.
//
//   node dashboard.mjs URL TOKEN VIEWER_TOKEN OWN_TOKEN TENANT INCIDENT ROLLOUT FOLDER

import { createHmac } from "node:crypto";
import { join } from "node:path";
import { assert, check, fits, nothingWrong, open, settled, shoot } from "./rig.mjs";

const [url, token, viewerToken, ownToken, tenant, incident, rollout, shots] = process.argv.slice(2);
const PAGES = [
  ["fleet", "/"],
  ["tenant", `/tenants/${tenant}/cpu_cores`],
  ["incidents", "/incidents"],
  ["incident", `/incidents/${incident}`],
  ["rollouts", "/rollouts"],
  ["rollout", `/rollouts/${rollout}`],
  ["reports", "/reports"],
  ["models", "/models"],
  ["audit", "/audit"],
];

async function logIn(page, with_ = token) {
  await page.goto("/login");
  await page.fill("#token", with_);
  await page.click("#login button");
  await page.waitForSelector("#log-out");
  await settled(page);
}

async function pages(rig, name) {
  await logIn(rig.page);
  for (const [at, path] of PAGES) {
    await rig.page.goto(path);
    await settled(rig.page);
    await rig.page.locator("details").evaluateAll((all) => all.forEach((one) => { one.open = true; }));
    assert(!(await rig.page.locator("main [role=alert]").count()), `${at}: ${await rig.page.locator("main").innerText()}`);
    await shoot(rig, `${at}-${name}`);
    await check(rig, `${at}, ${name}`);
    await fits(rig.page, `${at}, ${name}`);
  }
}

// The token never stays in the page; a session is what scripts can't read.
async function comesAndGoes(rig) {
  const { page, context, wrong } = rig;
  await page.goto("/tenants/anything?x=1");
  await page.waitForURL(/\/login\?to=/);
  await shoot(rig, "login");
  await check(rig, "login");
  await page.fill("#token", "plim_this-token-is-nobodys");
  await page.click("#login button");
  await page.waitForFunction(() => document.querySelector("#login-problem").textContent.includes("not known"));
  assert(wrong.length === 1 && wrong[0].includes("401"), `a wrong token: ${wrong.join(", ")}`);
  wrong.length = 0;
  await logIn(page);
  const [cookie] = await context.cookies();
  assert(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.expires > Date.now() / 1000, JSON.stringify(cookie));
  const seen = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, document.documentElement.outerHTML]));
  assert(!seen.includes(token) && !seen.includes(cookie.value), "a script can see the token or the session");
  // What another site's form could send is refused.
  const forged = await context.request.post("/v1/silences", { data: { reason: "x", until: "2099-01-01T00:00:00Z" } });
  assert(forged.status() === 403 && (await forged.text()).includes("X-Plimsoll-Page"), `forged: ${forged.status()} ${await forged.text()}`);
  const read = await context.request.get("/v1/summary");
  assert(read.status() === 200, `a session reads: ${read.status()}`);
  await page.click("#log-out");
  await page.waitForSelector("#login");
  const after = await context.request.get("/v1/summary", { headers: { Cookie: `${cookie.name}=${cookie.value}` } });
  assert(after.status() === 401, `after the end: ${after.status()}`);
  // A link with a token logs in, and the token leaves the address.
  await page.goto(`/#token=${token}`);
  await page.waitForSelector("#log-out");
  assert(!page.url().includes("token"), page.url());
}

async function fleet(rig) {
  const { page } = rig;
  await page.goto("/");
  await settled(page);
  const rows = page.locator(".rows tbody tr");
  const all = await rows.count();
  assert(all === 50, `a page has ${all} tenants`);
  await page.click("button:text-is('Next')");
  await page.waitForFunction(() => document.querySelector(".pager").innerText.includes("51–68 of 68"));
  assert((await rows.count()) === 18, "the second page has the rest");
  await page.click("button:text-is('Previous')");
  await page.waitForFunction(() => document.querySelector(".pager").innerText.includes("1–50 of 68"));
  await page.fill("#search", tenant);
  await page.waitForFunction((count) => document.querySelectorAll(".rows tbody tr").length < count, all);
  assert((await rows.count()) === 1, "the search finds one");
  assert(page.url().includes(`search=${tenant}`), "the search stands in the address");
  await page.fill("#search", "nobody-of-this-name");
  await page.waitForSelector("main .note");
  await page.fill("#search", "");
  await page.waitForFunction((count) => document.querySelectorAll(".rows tbody tr").length === count, all);
  await page.click("th button:text-is('Tenant')");
  await page.waitForSelector("th[aria-sort=ascending]");
  const ids = await page.locator(".rows tbody th a").evaluateAll((links) => links.map((link) => link.pathname.split("/")[2]));
  assert(ids[0] === tenant && ids.join() === [...ids].sort().join(), `sorted: ${ids}`);
}

// From a click to a changed quota, by the keyboard alone where a dialog is open.
async function approve(rig) {
  const { page, context } = rig;
  await page.goto(`/tenants/${tenant}/cpu_cores`);
  await settled(page);
  const quotas = `/v1/tenants/${tenant}/quotas/cpu_cores`;
  const before = await (await context.request.get(quotas)).json();
  // The slider redraws what another quota would have meant.
  const own = page.locator(".own td").first();
  const first = await own.innerText();
  await page.locator("#slider").focus();
  await page.keyboard.press("Home");
  assert((await own.innerText()) !== first, "the slider moves the row");
  assert((await page.locator(".own td").nth(1).getAttribute("class")).includes("bad"), "so small a quota breaks the budget");
  await page.locator(".chart-box svg.chart").first().focus();
  await page.keyboard.press("ArrowLeft");
  assert(/usage [\d.]+/.test(await page.locator(".reading").first().innerText()), "the arrow keys read the chart");
  await shoot(rig, "tenant-slider");
  // What is reckoned here is what the daemon says.
  const { items } = await (await context.request.get(`/v1/recommendations?tenant=${tenant}&resource=cpu_cores&state=proposed`)).json();
  // Each adds up in an order of its own, so that halves may be rounded either way.
  const row = await page.locator("tr.proposed td").allInnerTexts();
  const said = items[0].evidence.slack_then * 100;
  assert(/^\d+ %$/.test(row[3]) && Math.abs(parseInt(row[3], 10) - said) <= 0.5 + 1e-6, `${row} beside ${said} %`);
  await page.click(".proposal button.main");
  await check(rig, "the dialog");
  await shoot(rig, "approve", false);
  await page.fill("#ask-comment", "looks right");
  await page.keyboard.press("Tab");
  await page.locator("dialog button.main").press("Enter");
  await page.waitForSelector("dialog", { state: "detached" });
  await page.waitForFunction(() => document.querySelector(".rows tbody td.number + td, section .rows"));
  const after = await (await context.request.get(quotas)).json();
  assert(after.limit === items[0].proposed && after.generation === before.generation + 1, JSON.stringify({ before, after }));
  await settled(page);
  await page.waitForFunction(() => document.querySelector("main").innerText.includes("Quota changed"));
  const promises = page.locator("section[aria-labelledby=promises] tbody tr");
  assert((await promises.count()) === 2 && (await promises.first().innerText()).includes("kept"), "the promises stand below");
  await shoot(rig, "tenant-approved");
  await page.goto(`/audit?tenant=${tenant}&action=recommendation_approved`);
  await settled(page);
  assert((await page.locator("main").innerText()).includes("looks right"), "the comment stands in the audit log");
}

async function reject(rig) {
  const { page } = rig;
  await page.goto(`/tenants/${tenant}/memory_gb`);
  await settled(page);
  await page.click(".proposal button:text-is('Reject')");
  await page.click("dialog button.main");
  assert(await page.locator("dialog").isVisible(), "a rejection needs a reason");
  await page.fill("#ask-comment", "a launch is near");
  await page.click("dialog button.main");
  await page.waitForSelector("dialog", { state: "detached" });
  await settled(page);
  await page.waitForFunction(() => document.querySelector("main").innerText.includes("a launch is near"));
  const line = await page.locator("section[aria-labelledby=history-title] tr", { hasText: "a launch is near" }).innerText();
  assert(/[\d.]+ → [\d.]+/.test(line), `what was rejected: ${line}`);
}

// A code of an authenticator (RFC 6238), some steps of 30 seconds from now.
function code(secret, steps) {
  const bits = [...secret].map((one) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(one).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const digest = createHmac("sha1", key).update(counter).digest();
  const at = digest[19] & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

// Where a template asks for a second factor, the dialog does.
async function secondFactor(rig) {
  const { page, context, wrong } = rig;
  const headers = { "X-Plimsoll-Page": "1" };
  const made = await (await context.request.post("/v1/token/second-factor", { headers })).json();
  const confirmed = await context.request.post("/v1/token/second-factor/confirm", { headers, data: { code: code(made.secret, -1) } });
  assert(confirmed.status() === 204, await confirmed.text());
  await page.goto("/tenants/galleon");
  await settled(page);
  await page.click(".proposal button.main");
  assert(await page.locator("#ask-code").isVisible(), "a code is asked for");
  await page.fill("#ask-code", code(made.secret, 5));
  await page.click("dialog button.main");
  await page.waitForFunction(() => document.querySelector("dialog [role=alert]").textContent.includes("wrong"));
  assert(wrong.length === 1 && wrong[0].includes("403"), wrong.join());
  wrong.length = 0;
  await page.fill("#ask-code", code(made.secret, 0));
  await page.click("dialog button.main");
  await page.waitForSelector("dialog", { state: "detached" });
  await page.waitForFunction(() => document.querySelector("main").innerText.includes("Quota changed"));
}

async function incidentAndSilence(rig) {
  const { page, context } = rig;
  await page.goto(`/incidents/${incident}`);
  await settled(page);
  await page.click("button:text-is('Acknowledge')");
  await page.fill("#ask-comment", "on it");
  await page.click("dialog button.main");
  await page.waitForFunction(() => document.querySelector("main").innerText.includes("on it"));
  await page.click("button:text-is('It was real')");
  assert((await page.locator("dialog").innerText()).includes("something was wrong"), "what it means that it was real");
  await page.click("dialog button.main");
  await page.waitForFunction(() => document.querySelector("main").innerText.includes("real, by"));
  const { tenant: whose, resources } = await (await context.request.get(`/v1/incidents/${incident}`)).json();
  // All of the tenant unless one resource is chosen.
  for (const resource of [null, resources[0]]) {
    await page.goto(`/incidents/${incident}`);
    await settled(page);
    await page.click("button:text-is('Silence…')");
    const offered = await page.locator("#silence-what option").evaluateAll((all) => all.map((one) => [one.value, one.selected]));
    assert(offered.map(([value]) => value).join() === ["", ...resources].join() && offered[0][1], `what can be silenced: ${offered}`);
    if (resource) await page.selectOption("#silence-what", resource);
    await page.selectOption("#silence-for", "1");
    await page.fill("#ask-comment", "known until tonight");
    await page.click("dialog button.main");
    await page.waitForURL(/\/incidents(\?|$)/);
    await page.waitForFunction(() => document.querySelector("main").innerText.includes("known until tonight"));
    const { items } = await (await context.request.get("/v1/silences?active=true")).json();
    const made = items.find((one) => one.reason === "known until tonight" && !one.lifted_at);
    assert(made.tenant === whose && made.resource === resource, JSON.stringify(made));
    await shoot(rig, "silence");
    await page.click("tr:has-text('known until tonight') button");
    await page.waitForFunction(() => !document.querySelector("main").innerText.includes("known until tonight"));
  }
}

// A canary is found in the list, halted, let go on and taken back.
async function steered(rig) {
  const { page, context } = rig;
  await page.goto("/rollouts");
  await settled(page);
  await page.click(`a[href="/rollouts/${rollout}"]`);
  await page.waitForURL(`**/rollouts/${rollout}`);
  await settled(page);
  const now = async () => (await context.request.get(`/v1/rollouts/${rollout}`)).json();
  const begun = await now();
  assert(begun.state.kind === "watching" && begun.changes.some((one) => one.outcome.kind === "applied"), JSON.stringify(begun.state));
  const rows = await page.locator("section[aria-labelledby=changes] tbody tr").count();
  assert(rows === begun.changes.length, `${rows} rows of ${begun.changes.length} changes`);
  const press = async (step, reason) => {
    await page.click(`#rollout-${step}`);
    await page.fill("#ask-comment", reason);
    await page.click("dialog button.main");
    await page.waitForSelector("dialog", { state: "detached" });
    await settled(page);
  };
  await press("pause", "the launch is today");
  await page.waitForFunction(() => document.querySelector(".headline").innerText.includes("halted"));
  assert((await now()).paused_by, "it is halted");
  await press("resume", "it is over");
  await page.waitForFunction(() => !document.querySelector(".headline").innerText.includes("halted"));
  await press("roll-back", "not needed any more");
  await page.waitForFunction(() => document.querySelector(".headline").innerText.includes("taken back"));
  const back = await now();
  assert(!back.changes.some((one) => ["applied", "waiting"].includes(one.outcome.kind)), JSON.stringify(back.changes));
  const first = back.changes.find((one) => one.stage === 0);
  const quota = await (await context.request.get(`/v1/tenants/${first.tenant}/quotas/${first.resource}`)).json();
  assert(quota.limit === first.from, JSON.stringify({ quota, first }));
  assert((await page.locator("main").innerText()).includes("not needed any more"), "the reason stands on the page");
  await shoot(rig, "rollout-taken-back");
}

// An A/B test that has ended, made up: the daemon's own takes hours.
async function compared(rig) {
  const { page } = rig;
  await logIn(page);
  const interval = (mean, by) => ({ mean, low: mean - by, high: mean + by });
  const of = (a, b, by) => ({ a: interval(a, by), b: interval(b, by), difference: interval(b - a, by * 1.5) });
  const change = (tenant, arm, kind) => ({ tenant, resource: "cpu_cores", stage: 0, arm, from: 8, to: arm === "a" ? 6 : 5, generation: 1, recommendation: null, outcome: { kind, at: "2026-01-02T00:00:00Z" } });
  const seen = (samples, above) => ({ samples, above });
  const watched = (tenant, above) => ({ tenant, stage: 0, before: seen(288, 0), since: seen(288, above) });
  const item = {
    id: rollout, name: "p95 or p99", reason: "which of both", strategy: { kind: "ab_test" }, watch_seconds: 86400, limits: { violations: 0.02, tenant_violations: 0.1, incidents: 0 },
    changes: [change("acme", "a", "applied"), change("brig", "b", "applied"), change("cutter", "a", "refused"), change("dinghy", "b", "rolled_back")],
    template: null, by: { kind: "person", name: "ada" }, first: null, created_at: "2026-01-01T00:00:00Z", state: { kind: "undecided" }, stage: 0, since: "2026-01-03T00:00:00Z", paused_by: null, taken_back_by: null,
    watched: { before: seen(576, 1), since: seen(576, 9), rest_before: seen(0, 0), rest_since: seen(0, 0), incidents_before: 0, incidents_since: 1, tenants: [watched("acme", 2), watched("brig", 7)] },
    comparison: { violations: of(0.004, 0.012, 0.003), slack: of(0.41, 0.33, 0.02), cost: of(120.5, 101.2, 8), incidents: null },
  };
  await page.route("**/v1/rollouts/*", (route) => route.fulfill({ json: item }));
  await page.goto(`/rollouts/${rollout}`);
  await settled(page);
  const halves = await page.locator("section[aria-labelledby=halves] tbody tr").allInnerTexts();
  assert(halves.length === 3 && halves[0].includes("1.20 %"), halves.join(" | "));
  const worst = await page.locator("section[aria-labelledby=by-tenant] tbody th").first().innerText();
  assert(worst === "brig", `who suffers most stands first, not ${worst}`);
  assert((await page.locator("#rollout-finish").count()) && !(await page.locator("#rollout-approve").count()), "what can be done now");
  await shoot(rig, "rollout-compared");
  await check(rig, "an A/B test");
}

// A viewer sees everything and is offered nothing that would be refused.
async function viewer(rig) {
  const { page } = rig;
  await logIn(page, viewerToken);
  await page.goto(`/tenants/${tenant}/cpu_cores`);
  await settled(page);
  assert(!(await page.locator(".proposal button").count()), "a viewer may not decide");
  await page.selectOption("#top select >> nth=1", "de");
  await page.waitForFunction(() => document.documentElement.lang === "de" && document.querySelector("#top nav").innerText.includes("Flotte"));
  await settled(page);
  await shoot(rig, "tenant-german");
  await check(rig, "German");
  const keys = await page.evaluate(async () => {
    const [page, own, { sentences }] = await Promise.all(["english", "german", "sentences"].map((name) => import(`/assets/${name}.js`)));
    const [english, german] = [{ ...page.english, ...sentences.en }, { ...own.german, ...sentences.de }];
    const same = Object.keys(english).filter((key) => !(key in german));
    const holes = Object.keys(english).filter((key) => (english[key].match(/\{\w+\}/g) || []).sort().join() !== ((german[key] || "").match(/\{\w+\}/g) || []).sort().join());
    return [same, holes, Object.keys(german).filter((key) => !(key in english))];
  });
  assert(keys.flat().length === 0, `words that differ in German: ${JSON.stringify(keys)}`);
}

// The people of one WHITE_LABEL tenant see it alone, under its own name.
async function ownPeople(rig) {
  const { page } = rig;
  await logIn(page, ownToken);
  assert(page.url().endsWith("/tenants/liner"), page.url());
  assert((await page.locator(".home").innerText()) === "Harbour Suite", "the tenant's own name");
  assert((await page.title()).endsWith("Harbour Suite"), await page.title());
  const colours = await page.evaluate(() => {
    const link = document.querySelector("main").appendChild(Object.assign(document.createElement("a"), { href: "/" }));
    const found = [getComputedStyle(document.querySelector("#top nav a[aria-current]")).borderBottomColor, getComputedStyle(link).color];
    link.remove();
    return found;
  });
  assert(colours.every((one) => one === "rgb(122, 31, 162)"), `the tenant's own colour: ${colours.join(" ")}`);
  assert((await page.locator("#top nav a").allInnerTexts()).join() === "liner", "no pages of the whole fleet");
  const [loaded, wide] = await page.locator(".mark-logo").evaluate((one) => [one.complete, one.naturalWidth]);
  assert(loaded && wide === 40, `the tenant's own logo: ${wide}`);
  await shoot(rig, "own");
  await check(rig, "own");
  await page.emulateMedia({ colorScheme: "dark" });
  await check(rig, "own, dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/reports");
  await settled(page);
  const link = await page.locator("section[aria-labelledby=report-now] a").getAttribute("href");
  assert(link.startsWith("/v1/reports/tenants/liner?"), `their own reports: ${link}`);
  await page.goto("/models");
  await page.waitForSelector("#nothing");
  assert((await page.locator("#nothing").innerText()).includes("you see only liner"), "a page of the whole fleet says so");
}

// An address that leads to nothing says so, and leads back.
async function nothing(rig) {
  const { page, wrong } = rig;
  await logIn(page);
  const led = [
    [`/tenants/${tenant}/nonsense`, "no resource of the name “nonsense”", `/tenants/${tenant}`],
    ["/nonsense", "no such page", "/"],
    ["/tenants/nobody-of-this-name", "no tenant of the name", "/"],
    ["/incidents/xxx", "no incident of this name", "/incidents"],
    ["/rollouts/xxx", "no rollout of this name", "/rollouts"],
  ];
  for (const [path, text, back] of led) {
    await page.goto(path);
    await page.waitForSelector("#nothing");
    assert((await page.locator("#nothing").innerText()).includes(text), `${path}: ${await page.locator("#nothing").innerText()}`);
    assert((await page.locator("#nothing a").getAttribute("href")) === back, `${path} leads back`);
    assert(!(await page.locator("main .chart").count()), `${path} shows nothing else`);
  }
  await check(rig, "nothing");
  assert(wrong.every((one) => one.includes("404")), wrong.join());
  wrong.length = 0;
}

// A timeline that can't hold all tenants says how many more there are; those
// with trouble now come first. Made up: the daemon's own are few.
async function timeline(rig) {
  const { page } = rig;
  await logIn(page);
  const now = Date.now();
  const at = (hours) => new Date(now - hours * 3600e3).toISOString();
  const item = (number) => ({
    id: `00000000-0000-7000-8000-0000000000${number}`, tenant: `tenant-${number}`, severity: "warning", opened_at: at(number), last_seen_at: at(0), resolved_at: number < 13 ? at(1) : null,
    acknowledged: null, resources: ["cpu_cores"], findings: [{ kind: "pinned_at_quota", severity: "warning", text: "cpu_cores stands at its quota of 4 cores; how much more is needed can't be seen." }],
  });
  const items = Array.from({ length: 17 }, (_, index) => item(index + 10));
  await page.route("**/v1/incidents?*", (route) => route.fulfill({ json: { items, next: null } }));
  await page.goto("/incidents");
  await settled(page);
  assert((await page.locator("#timeline-more").innerText()) === "and 3 more tenants, in the table below", await page.locator("#timeline-more").innerText());
  const lanes = await page.locator("section[aria-labelledby=timeline] text.name").allTextContents();
  assert(lanes.length === 14 && !lanes.includes("tenant-10") && lanes[0] === "tenant-13", `lanes: ${lanes}`);
  assert((await page.locator(".rows tbody tr").first().innerText()).includes("CPU stands at its quota of 4 cores"), "no names of code in texts");
  await check(rig, "a timeline of many");
}

// Reports open beside the page, look as files anywhere do, and print.
async function reports(rig) {
  const { page, context, shots } = rig;
  await logIn(page);
  await page.goto("/reports");
  await settled(page);
  await page.fill("#report-tenant", tenant);
  const link = page.locator("section[aria-labelledby=report-now] a");
  const path = await link.getAttribute("href");
  assert(path.startsWith(`/v1/reports/tenants/${tenant}?format=html&language=en&from=`), path);
  const [opened] = await Promise.all([context.waitForEvent("page"), link.click()]);
  await opened.waitForSelector("h1");
  assert((await opened.locator("h1").innerText()).startsWith("Report for"), "the report opens");
  await opened.close();
  await page.selectOption("#report-language", "de");
  assert((await link.getAttribute("href")).includes("language=de"), "a report in another language than the page's");
  // As a file that somebody was sent.
  const blank = { ...rig, page: await context.newPage() };
  for (const [name, from] of [["fleet", "/v1/reports/fleet"], ["tenant", `/v1/reports/tenants/${tenant}`]]) {
    for (const language of ["en", "de"]) {
      const answer = await context.request.get(`${from}?format=html&language=${language}`);
      await blank.page.setContent(await answer.text());
      assert((await blank.page.locator("h1").count()) === 1, `${name}, ${language}`);
      await shoot(blank, `report-${name}-${language}`);
      await check(blank, `the report of the ${name}, ${language}`);
    }
    await fits(blank.page, `the report of the ${name}`);
    const sheets = await (await context.request.get(`${from}?format=pdf-ready`)).text();
    await blank.page.setContent(sheets);
    const pdf = await blank.page.pdf({ path: join(shots, `report-${name}.pdf`), preferCSSPageSize: true, printBackground: true });
    assert(pdf.subarray(0, 5).toString() === "%PDF-" && pdf.length > 20_000, `a PDF of ${pdf.length} bytes`);
  }
}

// The course of a resource's models over their versions. The daemon makes a
// second version after days only, so the page is given some here.
async function versions(rig) {
  const { page } = rig;
  await logIn(page);
  const score = (loss, cover) => ({ values: 900, quantile_loss: 0.2, to_seasonal_naive: loss, scaled_error: 0.8, cover });
  const version = (number, state, backtest, live) => ({
    resource: "cpu_cores", version: number, state, reason: state === "lost" ? "0.91 live against 0.74 of the champion" : "won against the one before", series: 24,
    fitted_at: `2026-01-0${number}T00:00:00Z`, window_from: "2025-12-01T00:00:00Z", window_to: `2026-01-0${number}T00:00:00Z`, backtest, live,
  });
  const items = [
    version(4, "champion", score(0.71, 0.81), score(0.74, 0.79)), version(3, "lost", score(0.72, 0.8), score(0.91, 0.66)),
    version(2, "retired", score(0.8, 0.84), score(0.83, 0.82)), version(1, "retired", score(1.05, 0.9), null),
  ];
  await page.route("**/v1/models", (route) => route.fulfill({ json: { items } }));
  await page.goto("/models");
  await settled(page);
  const charts = await page.locator("main figure svg[aria-label]").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
  assert(charts.length === 2 && charts[0].startsWith("Loss by version of CPU") && charts[1].startsWith("Coverage by version of CPU"), charts.join());
  const marked = await page.locator("td.bad", { hasText: "intervals too narrow" }).count();
  assert(marked === 1, `${marked} versions whose coverage is far off`);
  const won = await page.locator("tr.chosen td.text").innerText();
  assert(won.includes("26 % less loss than the last day carried on") && won.includes("1 % less loss than version 3"), won);
  await shoot(rig, "models-versions");
  await check(rig, "versions of models");
}

// The switch that stops all changes: thrown with a reason, seen by everybody,
// and thrown back.
async function pause(rig) {
  const { page, context } = rig;
  await logIn(page);
  await page.click("#stop-changes");
  await page.click("dialog button.main");
  assert(await page.locator("dialog").count(), "it needs a reason");
  await page.fill("#ask-comment", "the network is rebuilt");
  await page.click("dialog button.main");
  await page.waitForSelector("#paused");
  assert((await page.locator("#paused").innerText()).includes("the network is rebuilt"), await page.locator("#paused").innerText());
  assert(!(await page.locator("#stop-changes").count()), "it can't be stopped twice");
  await shoot(rig, "paused");
  await check(rig, "paused");
  await page.goto(`/tenants/${tenant}/cpu_cores`);
  await settled(page);
  assert(await page.locator("#paused").count(), "a tenant's page says it, too");
  await page.click("#resume-changes");
  await page.click("dialog button.main");
  await page.waitForFunction(() => !document.querySelector("#paused"));
  const now = await (await context.request.get("/v1/pause")).json();
  assert(now.paused === null, JSON.stringify(now));
}

// What must not happen is noticed: markup out of a text is refused, and told.
async function policy(rig) {
  const { page, wrong } = rig;
  await page.goto("/login");
  await page.waitForSelector("#login");
  const outcome = await page.evaluate(() => {
    try {
      document.body.insertAdjacentHTML("beforeend", "<b>x</b>");
      return "taken";
    } catch {
      return "refused";
    }
  });
  // The browser tells of it a moment later.
  for (let wait = 0; wait < 50 && !wrong.some((one) => one.includes("CSP")); wait += 1) await page.waitForTimeout(100);
  assert(outcome === "refused" && wrong.some((one) => one.includes("CSP")), `${outcome}: ${wrong.join()}`);
  wrong.length = 0;
}

async function run(name, options, work) {
  const rig = await open({ url, shots, ...options });
  try {
    await work(rig);
    nothingWrong(rig.wrong, name);
    console.log(`ok ${name}`);
  } catch (error) {
    await shoot(rig, `failed-${name.replaceAll(" ", "-")}`).catch(() => {});
    console.log(`${name}: ${rig.wrong.join("\n")}`);
    throw error;
  } finally {
    await rig.browser.close();
  }
}

await run("comes and goes", {}, comesAndGoes);
await run("policy", {}, policy);
await run("own people", {}, ownPeople);
await run("light", {}, (rig) => pages(rig, "light"));
await run("dark", { theme: "dark" }, (rig) => pages(rig, "dark"));
await run("phone", { width: 390, height: 844 }, (rig) => pages(rig, "phone"));
await run("viewer", {}, viewer);
await run("decisions", {}, async (rig) => {
  await logIn(rig.page);
  await fleet(rig);
  await reject(rig);
  await approve(rig);
  await secondFactor(rig);
  await incidentAndSilence(rig);
  await steered(rig);
});
await run("halves", {}, compared);
await run("reports", {}, reports);
await run("versions", {}, versions);
await run("nothing", {}, nothing);
await run("timeline", {}, timeline);
await run("pause", {}, pause);
