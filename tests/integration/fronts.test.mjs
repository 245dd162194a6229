// SPDX-License-Identifier: MIT
/*
 * tako behind the web servers that admins use, each started from the configuration in deploy/, and each
 * passing the same contract row by row (http-api.md H12, H13; tests/support/contract.mjs). And the
 * websocket through each of them, with the unmodified phoenix.js.
 */
import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ADMIN_ROWS, ROWS, assertFrontError, checkRow, nameOf } from '../support/contract.mjs';
import { openKitchen } from '../support/fronts.mjs';
import { HttpClient, JSON_API, PAGE_ORIGIN, assertPreflight } from '../support/http.mjs';
import { PHOENIX, PhoenixUser, outcome } from '../support/phoenix.mjs';
import { startStack } from '../support/stack.mjs';
import { after, eventually, test } from '../support/testing.mjs';

const USERS = '/api/json/accounts/users';

const stack = await startStack();
await letEverybodyIn();
const kitchen = await openKitchen(stack, { POOL_SIZE: '2' });
after(() => PhoenixUser.endAll());

/** Programs that Apache starts run as its user, and so must get at the stack's private sockets. */
async function letEverybodyIn() {
  if (process.getuid() !== 0) return;
  const postgres = new URL(stack.operatorEnv.DATABASE_URL.replace('postgres://tako@/', 'postgres://tako@x/')).searchParams.get('host');
  await chmod(postgres, 0o755);
  await chmod(`${postgres}/.s.PGSQL.5432`, 0o777);
  await chmod(stack.redisSocket, 0o777);
  assert.ok(dirname(postgres).startsWith('/tmp/tako.'));
}

const FRONTS = [
  {
    name: 'lighttpd, external socket (lighttpd.conf)',
    back: () => kitchen.startApi(),
    front: () => kitchen.startLighttpd('lighttpd.conf'),
    hasSocket: true,
  },
  {
    name: 'lighttpd spawning the program (lighttpd-spawn.conf)',
    front: () => kitchen.startLighttpd('lighttpd-spawn.conf'),
  },
  {
    name: 'Apache, mod_proxy_fcgi (apache.conf)',
    back: () => kitchen.startApi(),
    front: () => kitchen.startApache('apache.conf', ['proxy_fcgi']),
    hasSocket: true,
  },
  {
    name: 'Apache, mod_fcgid (apache-fcgid.conf)',
    front: () => kitchen.startApache('apache-fcgid.conf', ['fcgid']),
  },
  {
    name: 'Apache, plain CGI with mod_cgid (apache-cgi.conf)',
    front: () => kitchen.startApache('apache-cgi.conf', ['cgid']),
  },
  {
    name: 'nginx (nginx.conf)',
    back: () => kitchen.startApi(),
    front: () => kitchen.startNginx(),
    hasSocket: true,
  },
  {
    name: 'nginx, tako-api under spawn-fcgi',
    back: () => kitchen.startApiWithSpawnFcgi(kitchen.path('spawn-fcgi.sock')),
    front: () => kitchen.startNginx({ socket: kitchen.path('spawn-fcgi.sock') }),
  },
  {
    name: "nginx, tako-api with systemd's socket activation",
    back: () => kitchen.startApiActivated(kitchen.path('activated.sock')),
    front: () => kitchen.startNginx({ socket: kitchen.path('activated.sock') }),
  },
];

for (const { name, back, front, hasSocket } of FRONTS) {
  test(name, (t) => checkFront(t, back, front, hasSocket), { limit: 120_000 });
}

async function checkFront(t, startBack, startFront, hasSocket) {
  const back = await startBack?.();
  const front = await startFront();
  const api = new HttpClient(front.url, stack.token);
  const { id } = await eventually('the API answers', () => api.register('Behind_A_Server'));
  for (const row of [...ROWS, ...ADMIN_ROWS]) {
    await t.test(nameOf(row), () => checkRow(row, api, { id, adminToken: stack.adminToken }));
  }
  await t.test('H13: the page registers, preflight and all', async () => {
    const body = '{"data":{"type":"user","attributes":{"nickname":"Calm_KFP"}}}';
    const { preflight, answer } = await api.asBrowser('POST', '/accounts/users/', body);
    assertPreflight(preflight);
    assert.equal(answer.status, 201, answer.body);
  });
  await t.test('H12: a chunked body', () => checkChunked(front.url));
  await t.test('H106: health and counts', async () => {
    assert.equal((await api.send('GET', '/api/readyz')).status, 200);
    const metrics = await api.send('GET', '/api/metrics');
    assert.match(metrics.body, /^tako_api_workers \d+$/m);
  });
  if (hasSocket) await t.test('C98: phoenix.js through it', () => checkSocket(front.url));
  if (back) {
    await back.stop();
    await t.test('H2, H13: without tako-api the answer still is one for the page', () => checkAway(api));
  }
  await front.stop();
}

async function checkChunked(url) {
  const answer = await fetch(`${url}${USERS}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${stack.token}`, 'Content-Type': JSON_API },
    body: new Blob(['{"data":{"type"', ':"user"}}']).stream(),
    duplex: 'half',
  });
  assert.equal(answer.status, 201, await answer.text());
}

async function checkSocket(url) {
  const endpoint = `${url.replace(/^http/, 'ws')}/socket`;
  for (const Socket of [PHOENIX['1.7.6'], PHOENIX.latest]) {
    const user = new PhoenixUser(Socket, endpoint, await stack.createUser());
    assert.deepEqual(await user.enter(), { status: 'ok', response: {} });
    const reply = await outcome(user.push('ping', { through: 'the front' }));
    assert.deepEqual(reply, { status: 'ok', response: { through: 'the front' } });
    user.end();
  }
}

async function checkAway(api) {
  const answer = await api.get(`${USERS}/x`, { headers: { Origin: PAGE_ORIGIN } });
  assert.ok([502, 503, 504].includes(answer.status), `status ${answer.status}`);
  assertFrontError(answer, answer.status);
  assert.deepEqual(answer.codes, ['ServiceUnavailable']);
}
