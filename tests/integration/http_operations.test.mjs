// SPDX-License-Identifier: MIT
/*
 * What operators and careful clients rely on: rate limits over all workers (H98), Idempotency-Key
 * (H103), health and counts (H106), timing (H102), and what the access log says and does not say (H99).
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ANY_UUID,
  UUID,
  assertCommonHeaders,
  assertErrors,
  assertPreflight,
} from '../support/http.mjs';
import { childrenOf } from '../support/proc.mjs';
import { startStack } from '../support/stack.mjs';
import { eventually, table, test } from '../support/testing.mjs';

const USERS = '/api/json/accounts/users';
const LEADERBOARD = '/api/json/leaderboard';
const POST_LIMIT = 5;
const OTHER_LIMIT = 20;
const POOL_SIZE = 3;

// Everything the tests send has an address of its own, except where the limit is what is tested.
const stack = await startStack({
  env: {
    POOL_SIZE: String(POOL_SIZE),
    TAKO_RATE_POST: String(POST_LIMIT),
    TAKO_RATE_OTHER: String(OTHER_LIMIT),
    TAKO_TRUSTED_PROXIES: '127.0.0.1,::1',
    TAKO_SERVER_TIMING: '1',
  },
});
const { api } = stack;

let lastAddress = 0;
const fresh = () => ({ 'X-Forwarded-For': `10.1.${++lastAddress >> 8}.${lastAddress & 255}` });

const register = (attributes, headers = {}) =>
  api.create(attributes, { headers: { ...fresh(), ...headers } });
const countUsers = async () => Number(await stack.sql('select count(*) from users'));

test('H98: the limit of an address holds over all workers', async () => {
  const headers = { 'X-Forwarded-For': '192.0.2.1' };
  const answers = await Promise.all(
    Array.from({ length: POST_LIMIT * 3 }, () => api.create({}, { headers })),
  );
  assert.equal(answers.filter(({ status }) => status === 201).length, POST_LIMIT);
  for (const answer of answers.filter(({ status }) => status !== 201)) {
    assertErrors(answer, 429, ['TooManyRequests']);
    const seconds = Number(answer.headers['retry-after']);
    assert.ok(seconds >= 1 && seconds <= 60 / POST_LIMIT, `Retry-After: ${seconds}`);
  }
});

test('H98: reading has a bucket of its own, other addresses have theirs', async () => {
  const headers = { 'X-Forwarded-For': '192.0.2.1' };
  assert.equal((await api.get(LEADERBOARD, { headers })).status, 200);
  assert.equal((await register({})).status, 201);
});

test('H8, H98: unknown paths and preflights are not counted, wrong tokens are', async () => {
  const headers = { 'X-Forwarded-For': '192.0.2.2', Authorization: 'Bearer wrong' };
  for (let i = 0; i < OTHER_LIMIT * 2; i++) {
    assert.equal((await api.get('/api/json/nothing', { headers })).status, 404);
  }
  for (let i = 0; i < OTHER_LIMIT; i++) {
    assert.equal((await api.get(LEADERBOARD, { headers })).status, 401);
  }
  assertErrors(await api.get(LEADERBOARD, { headers }), 429, ['TooManyRequests']);
  assertPreflight(
    await api.send('OPTIONS', LEADERBOARD, {
      headers: { ...headers, 'Access-Control-Request-Method': 'GET' },
    }),
  );
  assert.equal((await api.send('GET', '/api/healthz', { headers })).status, 200);
});

test('H98: a client cannot get rid of its limit by posing as others', async () => {
  const statuses = [];
  for (let i = 0; i <= POST_LIMIT; i++) {
    const headers = { 'X-Forwarded-For': `198.51.100.${i}, 192.0.2.3` };
    statuses.push((await api.create({}, { headers })).status);
  }
  assert.equal(statuses.at(-1), 429);
});

test('H66, H103: the same request with the same key is answered the same, and done once', async () => {
  const events = await stack.subscribe('tako:users');
  const key = { 'Idempotency-Key': 'f3b7c1a2-once' };
  const first = await register({ nickname: 'Only_Once' }, key);
  assert.equal(first.status, 201);
  assert.equal(first.headers['idempotency-replayed'], undefined);
  assert.match(first.json.data.id, UUID);
  const { id } = first.json.data;
  await api.update(id, { nickname: 'Meanwhile' }, { headers: fresh() });

  const again = await register({ nickname: 'Only_Once' }, key);
  assert.equal(again.status, 201);
  assertCommonHeaders(again);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.equal(again.body, first.body);
  assert.equal(again.headers.etag, first.headers.etag);
  assert.equal(again.headers.location, first.headers.location);

  assert.equal(await stack.sql(`select count(*) from users where nickname = 'Only_Once'`), '0');
  assert.equal(await stack.sql(`select nickname from users where id = '${id}'`), 'Meanwhile');
  const names = (nickname) => (message) => JSON.stringify(message).includes(`"${nickname}"`);
  await events.until(names('Meanwhile'));
  const created = events.messages.filter(names('Only_Once'));
  assert.equal(created.length, 1, 'announced once');
  await events.stop();
});

test('H103: many at once make one user; those that came too early are told so', async () => {
  const before = await countUsers();
  const key = { 'Idempotency-Key': 'all-at-once' };
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => register({ nickname: 'Stampede' }, key)),
  );
  const created = answers.filter(({ status }) => status === 201);
  const early = answers.filter(({ status }) => status === 409);
  assert.equal(created.length + early.length, answers.length, answers.map((a) => a.status).join(' '));
  assert.equal(new Set(created.map((answer) => answer.body)).size, 1);
  for (const answer of early) {
    assertErrors(answer, 409, ['Conflict']);
    assert.equal(answer.headers['retry-after'], '1');
  }
  assert.equal(await countUsers(), before + 1);
});

test('H103: a key whose first request is still running is 409', async () => {
  const lock = createHash('sha256').update('still-running').digest().readBigInt64BE();
  const locks = async () => Number(await stack.sql(`select count(*) from pg_locks where locktype = 'advisory'`));
  const other = stack.sql(`select pg_advisory_lock(${lock}); select pg_sleep(60);`).catch(() => 'terminated');
  await eventually('the lock is held', async () => (await locks()) === 1);
  const answer = await register({}, { 'Idempotency-Key': 'still-running' });
  assertErrors(answer, 409, ['Conflict']);
  assert.deepEqual(answer.json.errors[0].source, { header: 'Idempotency-Key' });
  await stack.sql(`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'`);
  assert.equal(await other, 'terminated');
  await eventually('the lock is free', async () => (await locks()) === 0);
  assert.equal((await register({}, { 'Idempotency-Key': 'still-running' })).status, 201);
});

test('H103: a key that comes with another request is 422', async () => {
  const key = { 'Idempotency-Key': 'used-already' };
  assert.equal((await register({ nickname: 'First' }, key)).status, 201);
  const answer = await register({ nickname: 'Second' }, key);
  assertErrors(answer, 422, ['IdempotencyKeyReused']);
  assert.deepEqual(answer.json.errors[0].source, { header: 'Idempotency-Key' });
  const elsewhere = await api.call('POST', `${USERS}?fields[user]=nickname`, {
    json: { data: { type: 'user', attributes: { nickname: 'First' } } },
    headers: { ...fresh(), ...key },
  });
  assertErrors(elsewhere, 422, ['IdempotencyKeyReused']);
});

test('H103: requests that are refused do not use up their key', async () => {
  const key = { 'Idempotency-Key': 'corrected' };
  assertErrors(await register({ nickname: 'x'.repeat(25) }, key), 400, ['invalid_attribute']);
  assert.equal((await register({ nickname: 'x'.repeat(24) }, key)).status, 201);
});

test('H103: a key counts for 24 hours, and old ones are swept up', async () => {
  await stack.sql(`update idempotency_keys set expires_at = now() - interval '1 s'`);
  const old = Number(await stack.sql('select count(*) from idempotency_keys'));
  assert.ok(old >= 4);
  const answer = await register({ nickname: 'Second' }, { 'Idempotency-Key': 'used-already' });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers['idempotency-replayed'], undefined);
  for (let i = 0; i < 3; i++) await register({}, { 'Idempotency-Key': `sweep-${i}` });
  const left = await stack.sql('select count(*) from idempotency_keys where expires_at < now()');
  assert.equal(left, '0');
  const hours = await stack.sql(
    `select distinct round(extract(epoch from expires_at - now()) / 3600) from idempotency_keys`,
  );
  assert.equal(hours, '24');
});

table(
  'H103: what is no key',
  [
    ['256 bytes', 'k'.repeat(256), 400],
    ['255 bytes', 'k'.repeat(255), 201],
    ['not ASCII', 'sch\u00fcssel', 400],
    ['a tab', 'a\tb', 400],
  ],
  ([name]) => name,
  async ([, key, status]) => {
    const answer = await register({}, { 'Idempotency-Key': key });
    assert.equal(answer.status, status, answer.body);
    if (status === 400) assertErrors(answer, 400, ['InvalidHeader']);
  },
);

test('H103: PATCH is idempotent by itself and ignores keys', async () => {
  const { id } = (await register({})).json.data;
  const headers = () => ({ ...fresh(), 'Idempotency-Key': 'used-already' });
  const answer = await api.update(id, { stamps_collected: 4 }, { headers: headers() });
  assert.equal(answer.status, 200);
  assert.equal((await api.update(id, { stamps_collected: 5 }, { headers: headers() })).status, 200);
});

test('H103: with its user the memory of a key goes', async () => {
  const { id } = (await register({}, { 'Idempotency-Key': 'deleted-user' })).json.data;
  await stack.sql(`delete from users where id = '${id}'`);
  const again = await register({}, { 'Idempotency-Key': 'deleted-user' });
  assert.equal(again.status, 201);
  assert.notEqual(again.json.data.id, id);
});

test('H106: liveness and readiness, without a token', async () => {
  for (const path of ['/api/healthz', '/api/readyz']) {
    const answer = await api.send('GET', path);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, { status: 'ok' });
    assertCommonHeaders(answer);
  }
  await stack.control('stop', 'postgres');
  try {
    assert.equal((await api.send('GET', '/api/healthz')).status, 200);
    const answer = await api.send('GET', '/api/readyz');
    assertErrors(answer, 503, ['ServiceUnavailable']);
    assert.doesNotMatch(answer.body, /postgres|tako\.|socket/i, 'no details of the database');
  } finally {
    await stack.control('start', 'postgres');
  }
  await eventually('ready again', async () => (await api.send('GET', '/api/readyz')).status === 200);
});

/** The samples of a scrape: {'name{labels}': number}. */
async function scrape() {
  const answer = await api.send('GET', '/api/metrics');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  const samples = {};
  for (const line of answer.body.trimEnd().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"\\]*",?)*\})? [0-9.]+)$/);
    if (line[0] === '#') continue;
    const [name, value] = line.split(/ (?=[^ ]+$)/);
    assert.equal(samples[name], undefined, `${name} once`);
    samples[name] = Number(value);
  }
  return samples;
}

test('/metrics sums over the workers, whichever answers', async () => {
  const name = `tako_api_requests_total{method="GET",route="${USERS}/{id}",status="404"}`;
  const before = (await scrape())[name] ?? 0;
  await Promise.all(
    Array.from({ length: 60 }, () => api.get(`${USERS}/${ANY_UUID}`, { headers: fresh() })),
  );
  for (let i = 0; i < POOL_SIZE * 2; i++) assert.equal((await scrape())[name], before + 60);
});

test('/metrics: histograms are cumulative and complete', async () => {
  const samples = await scrape();
  const label = `route="${USERS}"`;
  const metric = 'tako_api_request_duration_seconds';
  const buckets = Object.entries(samples)
    .filter(([key]) => key.startsWith(`${metric}_bucket{${label}`))
    .map(([, value]) => value);
  assert.ok(buckets.length > 10);
  assert.deepEqual(buckets, [...buckets].sort((a, b) => a - b));
  const requests = Object.entries(samples)
    .filter(([key]) => key.startsWith('tako_api_requests_total{') && key.includes(label))
    .reduce((sum, [, value]) => sum + value, 0);
  assert.equal(samples[`${metric}_count{${label}}`], requests);
  assert.equal(buckets.at(-1), requests);
  assert.ok(samples[`${metric}_sum{${label}}`] > 0);
});

test('/metrics: database errors, and workers as they come and go', async () => {
  const before = await scrape();
  assert.ok(before['tako_api_database_errors_total{kind="unavailable"}'] >= 1, 'from the test of /readyz');
  assert.equal(before.tako_api_workers, POOL_SIZE);
  process.kill(childrenOf(stack.apiPid)[0], 'SIGKILL');
  await eventually('a new worker is counted', async () => {
    const now = await scrape();
    return (
      now.tako_api_workers === POOL_SIZE &&
      now.tako_api_worker_starts_total === before.tako_api_worker_starts_total + 1
    );
  });
});

test('H102: Server-Timing, when switched on', async () => {
  const answer = await api.get(LEADERBOARD, { headers: fresh() });
  assert.match(answer.headers['server-timing'], /^app;dur=\d+\.\d{3}$/);
});

test('one access-log line per request, with route, status, time and id, without secrets', async () => {
  const { id } = (await register({ nickname: 'Unlogged' })).json.data;
  const requestId = 'access-log-test-0123456789';
  const headers = { ...fresh(), 'X-Request-Id': requestId };
  const answer = await api.get(`${USERS}/${id}?fields[user]=nickname`, { headers });
  assert.equal(answer.headers['x-request-id'], requestId);
  const log = await eventually('the line is written', async () => {
    const text = await readFile(join(stack.dir, 'log/api.log'), 'utf8');
    return text.includes(requestId) && text;
  });
  const lines = log.split('\n').filter((line) => line.includes(requestId));
  assert.equal(lines.length, 1);
  assert.match(
    lines[0],
    /GET \/api\/json\/accounts\/users\/\{id\} status=200 us=\d+ request_id=access-log-test-0123456789 user=[0-9a-f]{8}$/,
  );
  assert.ok(!log.includes(id), 'H99: no full UUID');
  assert.ok(!log.includes(stack.token) && !log.includes(stack.adminToken), 'no token');
  assert.ok(!log.includes('Unlogged'), 'no values');
});
