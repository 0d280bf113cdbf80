// Uses the contact list of examples/contacts in a real browser, as a person would, on a desktop and a phone's width.
//
//   node contacts.mjs URL CHROMIUM FOLDER
//
// Writes screenshots into FOLDER and a JSON object to stdout: {"checks": [{name, passed, detail}], "problems": […]}.
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [url, executablePath, folder] = process.argv.slice(2);
const PATIENCE = 20_000;
const SIZES = {
  desktop: { family: 'Bell', viewport: { width: 1200, height: 820 }, colorScheme: 'light' },
  dark: { family: 'Dusk', viewport: { width: 1200, height: 820 }, colorScheme: 'dark' },
  phone: { family: 'Reed', viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};

const checks = [];
const problems = [];
const check = (name, passed, detail) => checks.push({ name, passed: Boolean(passed), ...(passed ? {} : { detail }) });

async function until(condition, patience = PATIENCE) {
  for (const end = Date.now() + patience; ; ) {
    if (await condition()) return true;
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
for (const [size, { family, ...options }] of Object.entries(SIZES)) {
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const subscribed = [];
  page.on('console', (message) => message.type() === 'error' && problems.push(`${size}: ${message.text()}`));
  page.on('pageerror', (error) => problems.push(`${size}: ${error.stack ?? error}`));
  page.on('request', (request) => new URL(request.url()).hostname === '127.0.0.1' || problems.push(`asks ${request.url()}`));
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      const { type, payload: sent } = JSON.parse(payload);
      if (type === 'subscribe') subscribed.push(sent);
    }),
  );
  await page.goto(url);
  const panes = page.locator('.pane');
  const [one, two] = [panes.nth(0), panes.nth(1)];
  const shot = (name) => page.screenshot({ path: join(folder, `${size}-${name}.png`) });
  const nameOf = (pane, id) => pane.locator(`[data-id="${id}"] .name`);
  const status = (pane) => pane.locator('.status').textContent();
  const isLive = async () => (await status(one)) === 'Live' && (await status(two)) === 'Live';
  const say = (name, passed, detail) => check(`${size}: ${name}`, passed, detail);

  const shows = async () => (await one.locator('.person').count()) > 5 && (await two.locator('.person').count()) > 5;
  say('both panes show people', await until(shows));
  say('both are live', await until(isLive));
  const watching = subscribed.map(({ variables }) => variables.ids?.length).filter(Boolean);
  say('500 people are one operation in each pane', watching.filter((count) => count > 400).length === 2, watching);
  const listed = await one.locator('.person').count();
  say('only the rows that can be seen are there', listed < 40, listed);
  say('somebody is there', await until(async () => (await one.locator('.dot[data-online=true]').count()) > 0));
  await shot('list');

  // Nothing sticks out of the page.
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  say('nothing is wider than the page', overflow <= 0, overflow);

  // Who sits at one pane is seen to be there in the other one, and to be gone when that network is cut.
  const seats = await page.evaluate(async () => (await (await fetch('configuration.json')).json()).seats);
  const dot = (pane, id) => pane.locator(`[data-id="${id}"] .dot`).getAttribute('data-online');
  say('who is in one pane is online in the other', await until(async () => (await dot(two, seats[0])) === 'true'));

  // Edit in one pane, see it in the other.
  const edited = await one.locator('.person').nth(1).getAttribute('data-id');
  await one.locator(`[data-id="${edited}"]`).click();
  const editor = one.locator('form.editor');
  await editor.getByLabel('Name').fill(`Agnes ${family}`);
  await editor.getByLabel('Title').fill('Head of nearly everything');
  await shot('edit');
  await editor.getByLabel('Title').press('Enter');
  const seen = async (pane, name) => (await nameOf(pane, edited).textContent()) === name;
  say('an edit in one pane appears in the other', await until(() => seen(two, `Agnes ${family}`)));
  say('and in its own', await until(() => seen(one, `Agnes ${family}`)));
  say('the title too', (await two.locator(`[data-id="${edited}"] .title`).textContent()).startsWith('Head of nearly everything'));

  // What is wrong is said, and nothing is lost.
  await one.locator(`[data-id="${edited}"]`).click();
  await editor.getByLabel('Name').fill('');
  await editor.getByLabel('Name').press('Enter');
  say('what is wrong is said', await until(async () => (await editor.getByRole('alert').count()) === 1));
  await shot('refused');
  await editor.getByLabel('Name').press('Escape');
  say('Escape leaves it as it was', await until(() => seen(one, `Agnes ${family}`)));

  if (size === 'dark') {
    await context.close(); // it is there to be looked at
    continue;
  }

  // Cut one network: it says so and keeps what it knew; then it is back and has missed nothing.
  const network = one.getByRole('switch');
  await network.click();
  say('a cut is said', await until(async () => (await status(one)) === 'No connection'));
  await two.locator(`[data-id="${edited}"]`).click();
  await two.locator('form.editor').getByLabel('Name').fill(`Bertha ${family}`);
  await two.locator('form.editor').getByLabel('Name').press('Enter');
  say('the other pane goes on', await until(() => seen(two, `Bertha ${family}`)));
  const isAway = async () => (await dot(two, seats[0])) === 'false';
  if (size === 'desktop') say('who is cut is seen to be gone', await until(isAway));
  say('who is cut still sees what was', await seen(one, `Agnes ${family}`));
  await shot('cut');
  await network.click();
  say('it comes back with what it has missed', await until(() => seen(one, `Bertha ${family}`), 5000));
  say('and is live', await until(isLive, 5000));
  say('and is seen to be there', await until(async () => (await dot(two, seats[0])) === 'true'));

  // An edit while the network is away is done when it is back.
  await network.click();
  await until(async () => (await status(one)) === 'No connection');
  await one.locator(`[data-id="${edited}"]`).click();
  await editor.getByLabel('Name').fill(`Clara ${family}`);
  await editor.getByLabel('Name').press('Enter');
  await network.click();
  say('an edit without a network is done when it is back', await until(() => seen(two, `Clara ${family}`)));

  // Scroll to the end: the last person is there, and is asked who is online.
  await one.locator('.list').evaluate((list) => list.scrollTo(0, list.scrollHeight));
  const last = one.locator('li[aria-posinset="500"] .name');
  say('the last of 500 can be scrolled to', await until(async () => (await last.count()) === 1));
  say('and is known', (await last.textContent())?.length > 2);
  await shot('end');

  // Dots change by themselves.
  const dots = () => two.locator('.dot').evaluateAll((all) => all.map(({ dataset }) => dataset.online).join());
  await two.locator('.list').evaluate((list) => list.scrollTo(0, 6000));
  await until(async () => (await two.locator('.dot[data-online=true]').count()) > 0);
  const before = await dots();
  say('people come and go', await until(async () => (await dots()) !== before, 30_000));

  await one.getByLabel('Search people').fill('Clara');
  const found = async () => (await one.locator('.person').count()) < 20 && (await seen(one, `Clara ${family}`));
  say('search finds', await until(found));
  await one.getByLabel('Search people').fill('xyzzy');
  say('and says if it does not', await until(async () => (await one.locator('.none').count()) === 1));
  await shot('search');
  await context.close();
}
await browser.close();
console.log(JSON.stringify({ checks, problems }));
