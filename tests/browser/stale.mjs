// What the dashboard says where usage is stale, its source does not answer, and
// series were left out of the last answer.
//
//   node stale.mjs URL TOKEN TENANT FOLDER

import { assert, check, nothingWrong, open, settled, shoot } from "./rig.mjs";

const [url, token, tenant, shots] = process.argv.slice(2);

const LANGUAGES = [
  ["en-GB", ["The usage is stale.", "the daemon applies none of it"], ["the source fails for", "Series of Memory, Availability are left out:"]],
  ["de-DE", ["Der Verbrauch ist veraltet.", "von selbst wird nichts davon angewandt"], ["antwortet die Quelle nicht für", "Verfügbarkeit bleiben Reihen außen vor:"]],
];
// What the daemon itself says is English in either language.
const CITED = ["failed to reach the source", 'has no label "tenant"'];

for (const [locale, stale, source] of LANGUAGES) {
  const rig = await open({ url, shots, locale });
  await rig.page.goto("/login");
  await rig.page.fill("#token", token);
  await rig.page.click("#login button");
  await rig.page.waitForSelector("#log-out");
  for (const [name, path, expected] of [["fleet", "/", [...stale, ...source, ...CITED]], ["tenant", `/tenants/${tenant}/cpu_cores`, stale]]) {
    await rig.page.goto(path);
    await settled(rig.page);
    const said = await rig.page.locator("#stale").innerText();
    for (const words of expected) assert(said.includes(words), `${name}: ${words} is not in ${said}`);
    await shoot(rig, `${name}-${locale}`);
    await check(rig, `${name}, ${locale}`);
  }
  nothingWrong(rig.wrong, locale);
  await rig.browser.close();
}
