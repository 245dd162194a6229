// SPDX-License-Identifier: MIT
/*
 * tako-api when something around it fails: PostgreSQL or Redis stopped or frozen, a worker or the
 * master killed, a program that must not start (http-api.md H18, H92, H93; design.md, "When parts
 * fail"). Nothing here restarts tako-api to make it well again, except its own master and stack.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ANY_UUID, assertErrors } from '../support/http.mjs';
import { childrenOf, isRunning, run, whileFrozen } from '../support/proc.mjs';
import { TAKO_BIN, gone, startStack } from '../support/stack.mjs';
import { eventually, test, timed } from '../support/testing.mjs';

const USERS = '/api/json/accounts/users';
const LEADERBOARD = '/api/json/leaderboard';
const DATABASE_TIMEOUT_MS = 2000;
const POOL_SIZE = 3;
const SLACK_MS = 3000;

const stack = await startStack({
  env: { TAKO_DATABASE_TIMEOUT_MS: String(DATABASE_TIMEOUT_MS), POOL_SIZE: String(POOL_SIZE) },
});
const { api } = stack;
const { id: userId } = await api.register('Survivor');

const databaseCalls = () => [
  api.get(LEADERBOARD),
  api.get(`${USERS}/${userId}`),
  api.create({ nickname: 'Half_Done' }),
  api.update(userId, { stamps_collected: 9 }),
];

/** Every route that needs the database says 503, in time. */
async function assertUnavailable() {
  const { result: answers, ms } = await timed(() => Promise.all(databaseCalls()));
  for (const answer of answers) {
    assertErrors(answer, 503, ['ServiceUnavailable']);
    assert.equal(answer.headers['retry-after'], '5');
    assert.equal(answer.json.errors[0].detail, 'Try again later.', 'H91: no cause shown');
  }
  // More calls than workers: some wait for their turn first.
  const rounds = Math.ceil(answers.length / POOL_SIZE);
  assert.ok(ms < rounds * DATABASE_TIMEOUT_MS + SLACK_MS, `took ${Math.round(ms)} ms`);
}

/** Answers that need no database. */
async function assertIndependentAnswers() {
  assertErrors(await api.get(LEADERBOARD, { headers: { Authorization: 'Bearer x' } }), 401);
  assertErrors(await api.get('/api/json/nothing'), 404);
  assertErrors(await api.get(`${USERS}/not-a-uuid`), 404);
  assertErrors(await api.call('DELETE', LEADERBOARD), 405);
  assertErrors(await api.get(LEADERBOARD, { headers: { Accept: 'text/html' } }), 406);
  assertErrors(await api.create({}, { headers: { 'Content-Type': 'text/plain' } }), 415);
  assertErrors(await api.call('POST', USERS, { body: 'x'.repeat(70_000) }), 413);
  assertErrors(await api.call('POST', USERS, { body: '{' }), 400);
  assertErrors(await api.create({ nickname: 5 }), 400);
  assertErrors(await api.update(userId, { nickname: 'ab' }), 400);
}

/** Until every worker has found the database again; in between only 503 is allowed. */
async function assertRecovers() {
  let inARow = 0;
  await eventually(
    'the API is well again',
    async () => {
      const { status } = await api.get(`${USERS}/${userId}`);
      assert.ok(status === 200 || status === 503, `status ${status}`);
      inARow = status === 200 ? inARow + 1 : 0;
      return inARow > POOL_SIZE * 3;
    },
    10_000,
  );
  const answers = await Promise.all(databaseCalls());
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [200, 200, 201, 200],
  );
}

async function countNamed(nickname) {
  return Number(await stack.sql(`select count(*) from users where nickname = '${nickname}'`));
}

test('H91, H92: PostgreSQL stopped: 503 in bounded time, well again without a restart', async () => {
  const master = stack.apiPid;
  const workers = childrenOf(master).sort();
  await stack.whileStopped('postgres', async () => {
    await assertUnavailable();
    await assertIndependentAnswers();
  });
  assert.equal(await countNamed('Half_Done'), 0, 'no half-done create');
  await assertRecovers();
  assert.deepEqual([stack.apiPid, childrenOf(master).sort()], [master, workers]);
});

test('H92: PostgreSQL frozen: 503 within the deadline, not a hang', async () => {
  const before = await countNamed('Half_Done');
  await whileFrozen(stack.postgresPid, async () => {
    await assertUnavailable();
    await assertIndependentAnswers();
  });
  await assertRecovers();
  // The frozen create's outcome is unknown to the client, but it must not have been repeated (H92).
  const after = await countNamed('Half_Done');
  assert.ok(after - before <= 2, `${after - before} rows of one create before and one after`);
});

test('Redis stopped: requests neither fail nor wait, and events return by themselves', async () => {
  await stack.whileStopped('redis', async () => {
    for (let i = 0; i < POOL_SIZE * 3; i++) {
      const { result, ms } = await timed(() => api.update(userId, { stamps_collected: 100 + i }));
      assert.equal(result.status, 200);
      assert.ok(ms < 1000, `took ${Math.round(ms)} ms`);
    }
  });
  await assertEventsReturn();
});

test('Redis frozen: requests neither fail nor wait', async () => {
  await whileFrozen(stack.redisPid, async () => {
    for (let i = 0; i < POOL_SIZE * 3; i++) {
      const { result, ms } = await timed(() => api.update(userId, { stamps_collected: 200 + i }));
      assert.equal(result.status, 200);
      // The publish happens after the answer; a worker may still be busy with the one before.
      assert.ok(ms < 2000, `took ${Math.round(ms)} ms`);
    }
  });
  await assertEventsReturn();
});

/** After some update the event is heard again: whatever pause a worker takes, it ends. */
async function assertEventsReturn() {
  const events = await stack.subscribe('tako:users');
  let stamps = 1000;
  await eventually(
    'events on tako:users',
    async () => {
      assert.equal((await api.update(userId, { stamps_collected: ++stamps })).status, 200);
      return events.messages.length >= POOL_SIZE;
    },
    30_000,
  );
  await events.stop();
}

test('a killed worker costs its own request at most and is replaced', async () => {
  const master = stack.apiPid;
  const [victim] = childrenOf(master);
  process.kill(victim, 'SIGKILL');
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => (await api.get(`${USERS}/${userId}`)).status),
  );
  assert.ok(statuses.filter((status) => status === 200).length >= 19, statuses.join(' '));
  await eventually('the pool is complete again', () => {
    const workers = childrenOf(master);
    return workers.length === POOL_SIZE && !workers.includes(victim);
  });
  assert.equal((await api.get(`${USERS}/${userId}`)).status, 200);
});

test('workers die with a killed master, and the stack starts it again', async () => {
  const master = stack.apiPid;
  const workers = childrenOf(master);
  process.kill(master, 'SIGKILL');
  await gone([master, ...workers]);
  await eventually(
    'the API answers again',
    async () => {
      return (await api.get(`${USERS}/${userId}`)).status === 200;
    },
    15_000,
  );
  await stack.refresh();
  assert.notEqual(stack.apiPid, master);
  assert.ok(isRunning(stack.apiPid));
});

test('H18: no token and no development switch: refuses to start and says why', async () => {
  for (const token of ['', undefined]) {
    const env = { ...stack.programEnv, HOLOQUEST_API_TOKEN: token };
    if (token === undefined) delete env.HOLOQUEST_API_TOKEN;
    const listen = `unix:${join(stack.dir, 'no-token.sock')}`;
    const { code, stderr } = await run(join(TAKO_BIN, 'tako-api'), ['--listen', listen], { env });
    assert.notEqual(code, 0);
    assert.match(stderr, /HOLOQUEST_API_TOKEN/);
  }
});

test('the same binary answers one plain CGI request', async () => {
  const env = {
    ...stack.programEnv,
    GATEWAY_INTERFACE: 'CGI/1.1',
    REQUEST_METHOD: 'GET',
    REQUEST_URI: `${USERS}/${ANY_UUID}`,
    SERVER_PROTOCOL: 'HTTP/1.1',
    HTTP_ACCEPT: 'application/vnd.api+json',
    HTTP_AUTHORIZATION: `Bearer ${stack.token}`,
  };
  const { code, stdout, stderr } = await run(join(TAKO_BIN, 'tako-api'), [], { env });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Status: 404 Not Found\r\n/);
  const [, body] = stdout.split('\r\n\r\n');
  assert.equal(JSON.parse(body).errors[0].code, 'NotFound');
});
