// What the dashboard says where usage is stale and its source does not answer.
//
//   node stale.mjs URL TOKEN TENANT FOLDER

import { assert, check, nothingWrong, open, settled, shoot } from "./rig.mjs";

const [url, token, tenant, shots] = process.argv.slice(2);

for (const [locale, stale, meaning] of [["en-GB", "The usage is stale.", "the daemon applies none of it"], ["de-DE", "Der Verbrauch ist veraltet.", "von selbst wird nichts davon angewandt"]]) {
  const rig = await open({ url, shots, locale });
  await rig.page.goto("/login");
  await rig.page.fill("#token", token);
  await rig.page.click("#login button");
  await rig.page.waitForSelector("#log-out");
  for (const [name, path] of [["fleet", "/"], ["tenant", `/tenants/${tenant}/cpu_cores`]]) {
    await rig.page.goto(path);
    await settled(rig.page);
    const said = await rig.page.locator("#stale").innerText();
    assert(said.includes(stale) && said.includes(meaning), `${name}: ${said}`);
    await shoot(rig, `${name}-${locale}`);
    await check(rig, `${name}, ${locale}`);
  }
  nothingWrong(rig.wrong, locale);
  await rig.browser.close();
}
