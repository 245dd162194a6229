// SPDX-License-Identifier: MIT
/*
 * A real browser on a page of another origin, which does what the deployed page does: CORS, fetch,
 * and the websocket are Chromium's own (http-api.md section 0, H2, H19; channels.md C83, C94-C98).
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startStack } from '../support/stack.mjs';
import { after, eventually, test } from '../support/testing.mjs';

const PATIENCE_MS = 30_000;
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const FILES = {
  '/': ['page.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript'],
  '/phoenix.mjs': ['../node_modules/phoenix-1.7.6/priv/static/phoenix.mjs', 'text/javascript'],
};

/** Serves the page on an origin of its own. */
async function servePage() {
  const server = createServer(async (request, response) => {
    const found = FILES[new URL(request.url, 'http://page').pathname];
    if (!found) return response.writeHead(404).end();
    const content = await readFile(fileURLToPath(new URL(found[0], import.meta.url)));
    return response.writeHead(200, { 'Content-Type': found[1] }).end(content);
  });
  after(() => server.close());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://localhost:${server.address().port}/`;
}

assert.ok(CHROMIUM, 'this test needs Chromium (Debian package chromium)');
const stack = await startStack({ env: { TAKO_DRAIN_MS: '500' } });
const pageUrl = await servePage();
const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
after(() => browser.close());

/** A tab of a visitor of his own, registered and joined. */
class Tab {
  frames = [];
  complaints = [];

  static async open(nickname) {
    const tab = new Tab();
    tab.nickname = nickname;
    const context = await browser.newContext();
    tab.page = await context.newPage();
    tab.page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => tab.frames.push(payload));
    });
    tab.page.on('console', (message) => tab.complaints.push(message.text()));
    const query = new URLSearchParams({ tako: stack.url, token: stack.token, nickname });
    await tab.page.goto(`${pageUrl}?${query}`);
    await tab.until(({ joins, errors }) => joins === 1 || errors.length > 0);
    assert.deepEqual((await tab.state()).errors, [], tab.complaints.join('\n'));
    tab.userId = (await tab.state()).userId;
    return tab;
  }

  state() {
    return this.page.evaluate(() => ({ ...window.rally }));
  }

  /** Waits for a condition on the page's state; `argument` is handed to it. */
  until(condition, argument) {
    const source = `(${condition})(window.rally ?? {joins: 0, errors: []}, ${JSON.stringify(argument ?? null)})`;
    return this.page.waitForFunction(source, undefined, { timeout: PATIENCE_MS });
  }

  collect() {
    return this.page.evaluate(() => window.rally.collect());
  }

  async isBack(code) {
    await this.until(({ joins, opens }) => joins === 2 && opens === 2);
    assert.equal((await this.state()).closes[0], code);
    await this.collect();
    await this.until(({ collected }, nickname) => collected.includes(nickname), this.nickname);
  }
}

test('two visitors see what each other collects (C88, C98)', async () => {
  const [one, two] = [await Tab.open('Tab_One'), await Tab.open('Tab_Two')];
  await one.collect();
  await two.until(({ collected }) => collected.includes('Tab_One'));
  await two.collect();
  for (const tab of [one, two]) {
    await tab.until(({ collected }) => collected.length === 2);
    assert.deepEqual((await tab.state()).collected.sort(), ['Tab_One', 'Tab_Two']);
  }
});

test('a message shows up in one tab only, a server ping is answered by both (C94, C96)', async () => {
  const [one, two] = [await Tab.open('Addressee'), await Tab.open('Bystander')];
  await stack.takoctlOk('message', one.userId, 'Testiiing');
  await one.until(({ messages }) => messages.length === 1);
  await stack.takoctlOk('ping');
  const isPong = (frame) => /"notifications","pong",\{"body":"pong"\}\]$/.test(frame);
  for (const tab of [one, two]) await eventually('a pong was sent', () => tab.frames.some(isPong));
  assert.deepEqual((await one.state()).messages, ['Testiiing']);
  assert.deepEqual((await two.state()).messages, []);
});

test('errors are readable across origins (H2): a bad nickname, malformed JSON, a wrong token', async () => {
  const tab = await Tab.open('Error_Reader');
  const codes = (document) => document.errors.map((error) => error.code);
  const renamed = await tab.page.evaluate(() => window.rally.rename('Better_Name'));
  assert.equal(renamed.data.attributes.nickname, 'Better_Name');
  const tooShort = await tab.page.evaluate(() => window.rally.rename('ab'));
  assert.deepEqual(codes(tooShort), ['invalid_attribute']);
  const quoted = await tab.page.evaluate(() => window.rally.rename('say "hi"'));
  assert.deepEqual(codes(quoted), ['InvalidJSON']);
  const nowhere = await tab.page.evaluate(() => window.rally.call('GET', '/nowhere'));
  assert.deepEqual(codes(nowhere), ['NotFound']);
  const board = await tab.page.evaluate(() => window.rally.call('GET', '/leaderboard'));
  assert.ok(board.data.some((row) => row.nickname === 'Better_Name'));
});

test('the page is back by itself after takoctl disconnect (C80)', async () => {
  const tab = await Tab.open('Thrown_Out');
  await stack.takoctlOk('disconnect', tab.userId);
  await tab.isBack(1001);
});

test('the page is back by itself after a restart of the broker (C81)', async () => {
  const tab = await Tab.open('Restarted');
  await stack.control('restart', 'broker1');
  await tab.isBack(1012);
});
