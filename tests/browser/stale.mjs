// What the dashboard says where usage is stale, its source does not answer, and
// series were left out of the last answer; or where the source's clock is ahead.
//
//   node stale.mjs stale|clock URL TOKEN TENANT FOLDER

import { assert, check, nothingWrong, open, settled, shoot } from "./rig.mjs";

const [what, url, token, tenant, shots] = process.argv.slice(2);

const LANGUAGES = [
  ["en-GB", {
    stale: ["The usage is stale.", "the daemon applies none of it"],
    source: ["the source fails for", "Series of Memory, Availability are left out:"],
    clock: ["The clocks of the source and of the daemon differ:"],
  }],
  ["de-DE", {
    stale: ["Der Verbrauch ist veraltet.", "von selbst wird nichts davon angewandt"],
    source: ["antwortet die Quelle nicht für", "Verfügbarkeit bleiben Reihen außen vor:"],
    clock: ["Die Uhren der Quelle und des Dienstes gehen auseinander:"],
  }],
];
// What the daemon itself says is English in either language.
const CITED = {
  stale: ["failed to reach the source", 'has no label "tenant"'],
  clock: ["the source's clock is", "ahead of ours; set both by NTP"],
};

// The pages to look at, with what their banner has to say.
function pages({ stale, source, clock }) {
  if (what === "clock") return [["clock", "/", [...clock, ...CITED.clock]]];
  return [["fleet", "/", [...stale, ...source, ...CITED.stale]], ["tenant", `/tenants/${tenant}/cpu_cores`, stale]];
}

for (const [locale, words] of LANGUAGES) {
  const rig = await open({ url, shots, locale });
  await rig.page.goto("/login");
  await rig.page.fill("#token", token);
  await rig.page.click("#login button");
  await rig.page.waitForSelector("#log-out");
  for (const [name, path, expected] of pages(words)) {
    await rig.page.goto(path);
    await settled(rig.page);
    const said = await rig.page.locator("#stale").innerText();
    for (const part of expected) assert(said.includes(part), `${name}: ${part} is not in ${said}`);
    await shoot(rig, `${name}-${locale}`);
    await check(rig, `${name}, ${locale}`);
  }
  nothingWrong(rig.wrong, locale);
  await rig.browser.close();
}
