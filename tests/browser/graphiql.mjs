// Opens GraphiQL in a real browser for which every outside address is unreachable, and uses it as a person would.
//
//   node graphiql.mjs BASE_URL CHROMIUM SCREENSHOT.png
//
// BASE_URL is an open gateway on 127.0.0.1. Writes a JSON object to stdout and exits with 0 if all checks passed.
import { chromium } from 'playwright-core';

const [baseUrl, executablePath, screenshot] = process.argv.slice(2);
const endpoint = `${baseUrl.replace(/\/$/, '')}/graphql`;
const PATIENCE = 20_000;

const checks = [];
const requests = [];
const problems = [];
const initFrames = [];

function check(name, passed, detail) {
  checks.push({ name, passed: Boolean(passed), ...(passed || detail === undefined ? {} : { detail }) });
}

function watchTraffic(page) {
  page.on('request', (request) => requests.push(request.url()));
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText;
    // The page is loaded anew meanwhile, and a worker that is still on its way then is not wanted any more.
    if (why !== 'net::ERR_ABORTED' || !request.url().includes('.worker-')) {
      problems.push(`${request.url()} failed: ${why}`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 400) {
      problems.push(`${response.url()} answered ${response.status()}`);
    }
  });
  page.on('websocket', (socket) => {
    requests.push(socket.url());
    socket.on('socketerror', (error) => problems.push(`${socket.url()} failed: ${error}`));
    socket.on('framesent', ({ payload }) => {
      const message = JSON.parse(payload);
      if (message.type === 'connection_init') {
        initFrames.push(message);
      }
    });
  });
  page.on('console', (message) => {
    if (message.type() === 'error') {
      problems.push(`console: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => problems.push(`page error: ${error.stack ?? error}`));
}

function isOutside(address) {
  const { protocol, hostname } = new URL(address);
  return !['data:', 'blob:'].includes(protocol) && hostname !== '127.0.0.1';
}

/** What a Monaco editor shows, line by line from the top. */
function shownIn(page, editor) {
  return page.evaluate((selector) => {
    const lines = [...document.querySelectorAll(`${selector} .view-line`)];
    const top = (line) => Number.parseFloat(line.style.top);
    return lines
      .sort((a, b) => top(a) - top(b))
      .map((line) => line.textContent.replaceAll('\u00a0', ' '))
      .join('\n');
  }, editor);
}

async function until(condition) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    if (await condition()) {
      return true;
    }
    if (Date.now() > deadline) {
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function checkShown(page, name, editor, ...texts) {
  const missing = async () => {
    const shown = await shownIn(page, editor);
    return texts.filter((text) => !shown.includes(text));
  };
  const passed = await until(async () => (await missing()).length === 0);
  check(name, passed, passed ? undefined : { missing: await missing(), shown: await shownIn(page, editor) });
}

const OPERATION = '.graphiql-query-editor';
const RESPONSE = '.graphiql-response';

/** Runs one of the examples: the play button, and then the operation's name in the menu. */
async function run(page, operation) {
  await page.locator('.graphiql-execute-button').click();
  await page.getByRole('menuitem', { name: operation, exact: true }).click();
}

async function setName(name) {
  const query = 'mutation($name: String!) { setUser(id: "alice", input: {name: $name}) { changed } }';
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables: { name } }),
  });
  const result = await response.json();
  check(`${name} is written from outside the page`, result.data?.setUser.changed, result);
}

async function useThePage(page) {
  await page.goto(endpoint);
  await page.locator(`${OPERATION} .view-line`).first().waitFor();
  check('the title is userline', (await page.title()) === 'userline', await page.title());
  await checkShown(page, 'the first tab shows the examples', OPERATION, 'Welcome to userline', 'mutation CreateUser');

  await run(page, 'CreateUser');
  await checkShown(page, 'a mutation answers', RESPONSE, '"createUserIfNotExists"', '"created"', '"id": "alice"');
  await run(page, 'SetCustom');
  await checkShown(page, 'a mutation with variables answers', RESPONSE, '"setUser"', '"app.theme": "dark"');
  await run(page, 'Rename');
  await checkShown(page, 'a patch with literals answers', RESPONSE, '"Alice Liddell"', '"city": "Oxford"');
  check('null removed a custom key', !(await shownIn(page, RESPONSE)).includes('"team"'));
  await run(page, 'App');
  await checkShown(page, 'what is configured is shown', RESPONSE, '"defaultLocale"', '"settings"');
  await run(page, 'ReadMany');
  await checkShown(page, 'many users are read', RESPONSE, '"users"', '"id": "alice"', 'null');
  await run(page, 'Read');
  await checkShown(page, 'a query answers', RESPONSE, '"user"', '"name": "Alice Liddell"', '"effectiveLocale"');

  await run(page, 'Watch');
  await checkShown(page, 'a subscription shows the user as it is', RESPONSE, '"userChanged"', '"Alice Liddell"');
  for (const name of [`Alice ${Date.now()}`, `Alice again ${Date.now()}`]) {
    await setName(name);
    await checkShown(page, `the subscription shows ${name}`, RESPONSE, '"userChanged"', `"name": "${name}"`);
  }
  await page.locator(`${OPERATION} .view-line`).first().click();
  await page.getByRole('button', { name: /^Send the operation at the cursor/ }).click();
  await checkShown(page, 'the subscription goes on beside a mutation', RESPONSE, '"userChanged"');
  const besideAnswer = async () => (await page.locator('.userline-answer').textContent()).startsWith('CreateUser: {"data"');
  check('what was sent beside it is answered', await until(besideAnswer), await page.locator('.userline-answer').textContent());
  await page.screenshot({ path: screenshot });
  await page.getByRole('button', { name: /^Stop/ }).click();

  await page.getByRole('button', { name: 'New tab' }).click();
  await until(async () => !(await shownIn(page, OPERATION)).includes('Welcome'));
  await page.locator(`${OPERATION} .monaco-editor`).click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('{ user(id: "alice") { effect', { delay: 20 });
  const suggestion = page.locator('.suggest-widget.visible .monaco-list-row').filter({ hasText: 'effectiveLocale' });
  check('completion knows the schema', await until(() => suggestion.first().isVisible()));
  await suggestion.first().click();
  await checkShown(page, 'a completion is taken', OPERATION, 'effectiveLocale');
  check('what is valid is not marked', await until(async () => (await markers(page)).length === 0), await markers(page));
  await page.keyboard.type(' nonsense', { delay: 20 });
  const complaint = async () => (await markers(page)).some((text) => text.includes('Cannot query field "nonsense"'));
  check('validation knows the schema', await until(complaint), await markers(page));
  check('what is invalid is underlined', await until(() => page.locator('.squiggly-error').first().isVisible()));

  await page.getByRole('tab').first().click();
  await checkShown(page, 'the examples are still there', OPERATION, 'Welcome to userline');
  check('the examples are valid', await until(async () => (await markers(page)).length === 0), await markers(page));

  await page.getByRole('button', { name: 'Headers' }).click();
  await page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .monaco-editor').click();
  await page.keyboard.insertText('{"Authorization": "Bearer example"}');
  initFrames.length = 0;
  await run(page, 'Watch');
  const authorized = () => initFrames.some(({ payload }) => payload?.Authorization === 'Bearer example');
  check('a socket carries the Authorization header', await until(authorized), initFrames);

  const isKept = () => page.evaluate(() => JSON.stringify({ ...sessionStorage }).includes('Bearer example'));
  check('headers are kept', await until(isKept)); // GraphiQL waits until nobody has typed for a moment
  await page.reload();
  await checkShown(page, 'a reload shows the tab that was open', OPERATION, 'Welcome to userline');
  await checkShown(page, 'variables survive a reload', '.graphiql-editor-tool', '"app.theme": "dark"');
  await page.getByRole('button', { name: 'Headers' }).click();
  await checkShown(page, 'headers survive a reload', '.graphiql-editor-tool .graphiql-editor:not(.hidden)', 'Bearer example');
  await page.screenshot({ path: screenshot.replace(/(\.png)$/, '-reload$1') });
  check('a reload opens no tab', (await page.getByRole('tab').count()) === 2, await page.getByRole('tab').count());
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }));
  check('no token is kept when the browser is closed', !kept.includes('Bearer example'), kept);

  const workers = () => page.workers().map((worker) => worker.url());
  for (const name of ['editor.worker', 'graphql.worker', 'json.worker']) {
    check(`${name} runs`, await until(() => workers().some((url) => url.includes(`/graphiql/${name}`))), workers());
  }
}

/** What a screen of this width shows of the page: nothing cut off, and the response with room enough to be read. */
async function checkWidth(width, height) {
  const page = await browser.newPage({ viewport: { width, height } });
  page.setDefaultTimeout(PATIENCE);
  await page.goto(endpoint);
  await page.locator(`${OPERATION} .view-line`).first().waitFor();
  const overflow = () =>
    page.evaluate((editor) => {
      const lines = document.querySelector(`${editor} .view-lines`);
      const right = document.querySelector(`${editor} .monaco-editor`).getBoundingClientRect().right;
      return Math.max(...[...lines.querySelectorAll('.view-line > span')].map((each) => each.getBoundingClientRect().right)) - right;
    }, OPERATION);
  check(`no example is cut off at ${width} px`, await until(async () => (await overflow()) <= 0), await overflow());
  const box = await page.locator('.graphiql-response').boundingBox();
  check(`the response has room at ${width} px`, box.width >= 250 && box.height >= 150, box);
  check(`nothing is beside the screen at ${width} px`, await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await run(page, 'CreateUser');
  await checkShown(page, `a mutation answers at ${width} px`, RESPONSE, '"createUserIfNotExists"');
  await page.screenshot({ path: screenshot.replace(/(\.png)$/, `-${width}$1`) });
  await page.close();
}

/** The complaints of Monaco about all that stands in its editors. */
function markers(page) {
  return page.evaluate(() => globalThis.__MONACO.editor.getModelMarkers({}).map((marker) => marker.message));
}

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(PATIENCE);
  watchTraffic(page);
  try {
    await useThePage(page);
    await checkWidth(390, 844);
    await checkWidth(1280, 800);
  } catch (error) {
    check('the page can be used', false, String(error.stack ?? error));
    await page.screenshot({ path: screenshot });
  }
  const outside = requests.filter(isOutside);
  check('no request leaves 127.0.0.1', outside.length === 0, outside);
  check('no request fails and no error is logged', problems.length === 0, problems);
} finally {
  await browser.close();
}
const ok = checks.every(({ passed }) => passed);
process.stdout.write(`${JSON.stringify({ ok, browser: browser.version(), checks, requests }, null, 2)}\n`);
process.exitCode = ok ? 0 : 1;
