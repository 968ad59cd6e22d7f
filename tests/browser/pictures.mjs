// The pictures of the docs, taken of `plimsoll demo`; docs/dashboard.md says how.
//
//   node pictures.mjs URL TOKEN FOLDER

import { nothingWrong, open, settled, shoot } from "./rig.mjs";

const [url, token, shots] = process.argv.slice(2);

for (const [name, path, from] of [["fleet", "/", "body"], ["tenant", "/tenants/keel-logistics/cpu_cores", "#chosen"]]) {
  const rig = await open({ url, shots, width: 1280, height: 880 });
  await rig.page.goto(`/#token=${token}`);
  await rig.page.waitForSelector("#log-out");
  await rig.page.goto(path);
  await settled(rig.page);
  await rig.page.locator(from).evaluate((element) => scrollTo(0, element.getBoundingClientRect().top - 12));
  await shoot(rig, name, false);
  nothingWrong(rig.wrong, name);
  await rig.browser.close();
}
