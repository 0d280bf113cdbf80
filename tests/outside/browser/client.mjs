// Runs a client in a page of a real browser.
//
//   node client.mjs NAME CHROMIUM MODULES PACKAGES
//
// MODULES is a folder with the recipes of PROTOCOL.md and the modules beside this file. What the page logs is on stderr.
import { openPage } from '../../browser/page.mjs';

const [name, executablePath, modules, packages] = process.argv.slice(2);
const { browser, page } = await openPage(executablePath, process.env.USERLINE_URL, modules, packages);
await page.evaluate(
  async ([which, controlUrl]) => {
    globalThis.controlUrl = controlUrl;
    const { run } = await import(`/recipes/do-${which}.js`);
    await run();
  },
  [name, process.env.USERLINE_CONTROL],
);
await browser.close();
