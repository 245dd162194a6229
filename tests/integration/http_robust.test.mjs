// SPDX-License-Identifier: MIT
/*
 * tako-api against everything at once: random nonsense in all that a client can send, records that are
 * no FastCGI, bodies that stall, workers killed in the middle, PostgreSQL restarted under load. What
 * must hold each time: no hang, no worker lost that was not killed, no connection left behind, no row
 * that is not whole, and no memory that grows.
 *
 * SEED=n repeats a run of the random tests.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import http from 'node:http';
import { median } from '../bench/lib/bench.mjs';
import { memoryOf } from '../bench/lib/process.mjs';
import { LEADERBOARD, USERS } from '../support/contract.mjs';
import { statusOf, begin, lengthOf, openFcgi, pairs, record, recordType, request } from '../support/fcgi.mjs';
import { HttpClient, JSON_API, assertCommonHeaders, assertErrors } from '../support/http.mjs';
import { Database } from '../support/postgres.mjs';
import { childrenOf } from '../support/proc.mjs';
import { Random } from '../support/random.mjs';
import { FLAT_MEMORY, startStack } from '../support/stack.mjs';
import { after, eventually, table, test } from '../support/testing.mjs';

const POOL_SIZE = 3;
const AT_ONCE = 16;
const REQUEST_TIMEOUT_MS = 4000;
const PATIENCE_MS = 15_000;
const MEGABYTE = 2 ** 20;

const stack = await startStack({
  env: {
    POOL_SIZE: String(POOL_SIZE),
    TAKO_REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS),
    ...FLAT_MEMORY,
  },
});
const { api } = stack;
const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
after(() => agent.destroy());
const keptApi = new HttpClient(stack.url, stack.token, { agent });
const random = new Random();

const workers = () => childrenOf(stack.apiPid).sort();
const count = async (select) => Number(await stack.sql(`select count(*) from ${select}`));

/** Runs `fn(i)` for every i below `times`, some at a time. */
async function repeat(times, fn) {
  let next = 0;
  const lane = async () => {
    while (next < times) {
      await fn(next++).catch((error) => {
        next = times; // the other lanes need not go on
        throw error;
      });
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane));
  const failed = lanes.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
}

/** Every worker is there and answers, and with the database. */
async function assertWell() {
  let inARow = 0;
  await eventually('the pool is complete', () => workers().length === POOL_SIZE, PATIENCE_MS);
  await eventually(
    'the API is well',
    async () => {
      const { status } = await api.get(LEADERBOARD);
      inARow = status === 200 ? inARow + 1 : 0;
      return inARow > POOL_SIZE * 3;
    },
    PATIENCE_MS,
  );
}

/** As many connections as workers: none was left behind by one that is gone or has reconnected. */
function assertNoConnectionLeaked() {
  return eventually(
    'only the workers have connections',
    async () => (await count(`pg_stat_activity where application_name = 'tako'`)) <= POOL_SIZE,
    PATIENCE_MS,
  );
}

/** What no request may ever have stored (H47, H48, H52, H63). */
async function assertRowsAreWhole() {
  const broken = await count(`users where octet_length(nickname) not between 1 and 255
    or nickname ~ '[[:cntrl:]]' or stamps_collected is null or stamps_collected not between 0 and 9007199254740991
    or updated_at < inserted_at or updated_at > (now() at time zone 'utc')`);
  assert.equal(broken, 0);
}

// A worker killed in the middle ----------------------------------------------------------------------

/** The worker that has a connection from the web server open right now. */
function busyWorker() {
  const connected = new Set(
    readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/ +/))
      .filter(([, , , , , state, , path]) => state === '03' && path === stack.apiSocket)
      .map(([, , , , , , inode]) => `socket:[${inode}]`),
  );
  return workers().find((pid) => filesOf(pid).some((file) => connected.has(file)));
}

function filesOf(pid) {
  const dir = `/proc/${pid}/fd`;
  return readdirSync(dir).flatMap((fd) => {
    try {
      return [readlinkSync(`${dir}/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

test('a worker killed -9 in the middle of a request costs that request and no other', async () => {
  const { id } = await api.register('Locked');
  const database = new Database('tako', stack.operatorEnv.DATABASE_URL);
  const lock = await database.hold(`begin; select 1 from users where id = '${id}' for update`);
  const before = workers();
  const dying = api.update(id, { stamps_collected: 5 });
  const victim = await eventually('a worker waits for the lock', async () => {
    return (await count(`pg_stat_activity where wait_event_type = 'Lock'`)) === 1 && busyWorker();
  });

  const others = [];
  await repeat(60, async (i) => {
    if (i === 30) process.kill(victim, 'SIGKILL');
    others.push((await api.get(`${USERS}/${id}`)).status);
  });
  assert.deepEqual(new Set(others), new Set([200]), 'the others');
  const { status } = await dying;
  assert.ok(status >= 500 && status <= 504, `the client gets an answer: ${status}`);
  await lock.release();

  await assertWell();
  const survivors = workers().filter((pid) => before.includes(pid));
  assert.deepEqual(survivors, before.filter((pid) => pid !== victim), 'the victim is replaced, the others are not');
  await assertNoConnectionLeaked();
  // The statement was on its way: it is carried out or not, but never in part.
  const row = await stack.sql(`select stamps_collected, updated_at > inserted_at from users where id = '${id}'`);
  assert.ok(['0|f', '5|t'].includes(row), row);
});

// Nonsense through the web server --------------------------------------------------------------------

const CREATE = '{"data":{"type":"user","attributes":{"nickname":"Calm_Takodachi","stamps_collected":3}}}';
const RENAME = '{"data":{"type":"user","attributes":{"nickname":"Brave_KFP"}}}';
const QUERIES = ['', '?fields[user]=nickname', '?page[limit]=10&page[offset]=0', '?sort=-id&filter[nickname]=a%20b'];
const HEADERS = {
  Accept: [JSON_API, '*/*', 'text/html;q=0.5, application/*'],
  'Content-Type': [JSON_API, `${JSON_API}; profile="a"`, 'text/plain'],
  'X-Request-Id': ['abcdefghij0123456789', 'short'],
  'If-Match': ['"652ca1c5f3d27"', '*', 'W/"a", "b"'],
  'If-None-Match': ['"652ca1c5f3d27"', '*'],
  'Idempotency-Key': ['3f2a-one', '3f2a-two', '3f2a-three'],
  'X-Forwarded-For': ['10.0.0.1, 10.0.0.2', '::1'],
};

// What Node's own client agrees to send; the rest is for FastCGI below.
const sendableHeader = (bytes) => bytes.toString('latin1').replace(/[^\t\x20-\x7e\x80-\xff]/g, '');
const brokenTarget = (target) => {
  const [prefix, rest] = [target.slice(0, '/api/'.length), target.slice('/api/'.length)];
  return prefix + random.broken(rest).toString('latin1').replace(/[^\x21-\xff]|#/g, '');
};

function randomRequest(id) {
  const [method, path, seed] = random.pick([
    ['POST', USERS, CREATE],
    ['POST', USERS, CREATE],
    ['PATCH', `${USERS}/${id}`, RENAME],
    ['GET', `${USERS}/${id}`],
    ['GET', LEADERBOARD],
    ['HEAD', `${USERS}/${id}`],
    ['DELETE', USERS, CREATE],
  ]);
  const target = `${path}${random.pick(QUERIES)}`;
  const headers = { Authorization: `Bearer ${stack.token}`, Accept: JSON_API, 'Content-Type': JSON_API };
  for (const [name, values] of Object.entries(HEADERS)) {
    if (!random.once(4)) continue;
    const value = random.pick(values);
    headers[name] = random.once(2) ? sendableHeader(random.broken(value)) : value;
  }
  if (random.once(20)) headers.Authorization = sendableHeader(random.broken(headers.Authorization));
  const body = seed && (random.once(6) ? seed : random.broken(seed));
  return [method, random.once(4) ? brokenTarget(target) : target, { headers, body }];
}

/** An answer of ours is complete whatever was asked; null stands for one of the web server's own. */
function checkedStatus(answer) {
  if (answer.headers['x-request-id'] === undefined) {
    // 501: a path that dots lead out of /api/, with a method that files do not have.
    assert.ok((answer.status >= 400 && answer.status < 500) || answer.status === 501, `${answer.status} of lighttpd`);
    return null;
  }
  assertCommonHeaders(answer);
  if (answer.status >= 400 && answer.body !== '') assertErrors(answer, answer.status);
  else if (answer.body !== '') assert.ok(answer.json.data);
  return answer.status;
}

/** Sends random requests; returns how many of ours each status had. */
async function sendRandomRequests(times, id) {
  const statuses = new Map();
  await repeat(times, async () => {
    const [method, path, options] = randomRequest(id);
    const answer = await keptApi.send(method, path, options);
    const isNew = answer.status !== 201 || answer.headers['idempotency-replayed'] === undefined;
    const status = isNew ? checkedStatus(answer) : 'replayed';
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  return statuses;
}

const ROUNDS = 5;
const REQUESTS_PER_ROUND = 2500;

test(`12,500 random broken requests are all answered, in flat memory (SEED=${random.seed})`, async () => {
  const { id } = await api.register('Target');
  const before = { workers: workers(), users: await count('users') };
  const memory = [];
  const total = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [status, times] of await sendRandomRequests(REQUESTS_PER_ROUND, id)) {
      total.set(status, (total.get(status) ?? 0) + times);
    }
    memory.push(median(workers().map((pid) => memoryOf(pid).rss)));
  }
  assert.deepEqual(workers(), before.workers, 'no worker died');
  assert.ok([...total.keys()].every((status) => !(status >= 500)), [...total].join(' '));
  for (const status of [200, 201, 400, 404, 405]) assert.ok(total.get(status) > 0, `never ${status}`);
  assert.ok((total.get(null) ?? 0) < (ROUNDS * REQUESTS_PER_ROUND) / 4, 'most of them reached tako-api');
  assert.equal(await count('users'), before.users + total.get(201), 'a row for each 201, and no other');
  await assertRowsAreWhole();
  const grown = memory.at(-1) - memory[1];
  assert.ok(grown < MEGABYTE, `workers grew: ${memory.map((bytes) => Math.round(bytes / 1024)).join(' ')} KiB`);
});

// Nonsense on the FastCGI socket ---------------------------------------------------------------------

const VARIABLES = [
  ['REQUEST_METHOD', 'POST'],
  ['REQUEST_URI', `${USERS}?fields[user]=nickname`],
  ['SERVER_PROTOCOL', 'HTTP/1.1'],
  ['CONTENT_TYPE', JSON_API],
  ['CONTENT_LENGTH', String(CREATE.length)],
  ['REMOTE_ADDR', '192.0.2.7'],
  ['HTTP_ACCEPT', JSON_API],
  ['HTTP_AUTHORIZATION', `Bearer ${stack.token}`],
  ['HTTP_IDEMPOTENCY_KEY', 'direct'],
];

const SOUND = request(VARIABLES.slice(0, -1), CREATE);

/** What becomes of bytes that end there: a status, or null when the connection just closes. */
async function exchange(bytes) {
  const connection = await openFcgi(stack.apiSocket);
  try {
    connection.write(bytes);
    connection.finish();
    return await statusOf(connection, PATIENCE_MS);
  } finally {
    connection.destroy();
  }
}

test(`3,000 requests with any bytes in their variables (SEED=${random.seed})`, async () => {
  const before = workers();
  const statuses = new Set();
  await repeat(3000, async () => {
    const variables = VARIABLES.map(([name, value]) => {
      if (random.once(3)) return [name, random.broken(value)];
      return random.once(20) ? [random.broken(name), value] : [name, value];
    });
    const status = await exchange(request(variables, random.once(2) ? CREATE : random.broken(CREATE)));
    statuses.add(status);
  });
  assert.deepEqual([...statuses].filter((status) => !(status >= 200 && status < 500)), []);
  assert.deepEqual(workers(), before, 'no worker died');
  await assertRowsAreWhole();
});

const { params, stdin, getValues } = recordType;
const HUGE = 0x7fffffff;

table(
  'records that are no request end their connection, and nothing else',
  [
    ['nothing', ''],
    ['half a header', SOUND.subarray(0, 5)],
    ['no parameters', begin()],
    ['another version', Buffer.concat([record(1, Buffer.alloc(8), { version: 9 }), SOUND.subarray(16)])],
    ['an unknown type', Buffer.concat([record(77, 'what?'), SOUND])],
    ['an unknown management type', record(77, 'what?', { id: 0 })],
    ['unknown values', record(getValues, pairs([['NO_SUCH', '']]), { id: 0 })],
    ['an unknown role', begin({ role: 200 })],
    ['a body before the beginning', record(stdin, CREATE)],
    ['a beginning of no length', record(1)],
    ['a second beginning', Buffer.concat([begin(), begin({ id: 2 }), SOUND])],
    ['parameters of somebody else', Buffer.concat([begin(), record(params, pairs(VARIABLES), { id: 2 })])],
    ['more announced than there is', Buffer.concat([begin(), record(params, 'x', { length: 65535 })])],
    ['a name longer than its record', Buffer.concat([begin(), record(params, Buffer.concat([lengthOf(HUGE), lengthOf(0), Buffer.from('x')]))])],
    ['two lengths whose sum overflows', Buffer.concat([begin(), record(params, Buffer.concat([lengthOf(HUGE), lengthOf(HUGE), Buffer.alloc(60_000, 'x')]))])],
    ['a pair cut in two', Buffer.concat([begin(), record(params, lengthOf(5)), record(params)])],
    ['an abort', Buffer.concat([begin(), record(recordType.abort)])],
    ['no end of the body', SOUND.subarray(0, -12)],
    ['random bytes', random.bytes(5000)],
  ],
  ([name]) => name,
  async ([, bytes]) => {
    const before = workers();
    const status = await exchange(bytes);
    assert.ok(status === null || (status >= 200 && status < 500), `status ${status}`);
    assert.equal(await exchange(SOUND), 201, 'the next one is served');
    assert.deepEqual(workers(), before, 'no worker died');
  },
);

/*
 * Without the bit that makes a length four bytes long: told of a variable longer than there is memory,
 * libfcgi ends the worker. Only a web server can tell it that, and none does.
 */
test(`2,000 requests whose records are broken anywhere (SEED=${random.seed})`, async () => {
  const before = workers();
  await repeat(2000, async () => {
    const status = await exchange(random.broken(SOUND).map((byte) => byte & 0x7f));
    assert.ok(status === null || (status >= 200 && status < 500), `status ${status}`);
  });
  assert.deepEqual(workers(), before, 'no worker died');
  await assertWell();
  await assertRowsAreWhole();
});

// What stalls ----------------------------------------------------------------------------------------

test('clients whose bodies never come to an end cost the others nothing', async () => {
  const head = [
    `POST ${USERS} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${stack.token}`,
    `Content-Type: ${JSON_API}`,
    'Content-Length: 500',
  ];
  const users = await count('users');
  const stalled = await Promise.all(Array.from({ length: 40 }, () => openFcgi(new URL(stack.url).port)));
  for (const connection of stalled) connection.write(`${head.join('\r\n')}\r\n\r\n${CREATE}`);
  await repeat(50, async () => assert.equal((await api.get(LEADERBOARD)).status, 200));
  for (const connection of stalled) connection.destroy();
  assert.equal(await count('users'), users);
});

test('a web server that stalls in the middle of each worker\'s request is cut off, then all are free', async () => {
  const before = workers();
  const users = await count('users');
  const parts = [begin(), SOUND.subarray(0, 200), SOUND.subarray(0, -40)];
  const stalled = await Promise.all(
    Array.from({ length: POOL_SIZE * 2 }, async (_, i) => {
      const connection = await openFcgi(stack.apiSocket);
      connection.write(parts[i % parts.length]);
      return connection;
    }),
  );
  assert.equal(await exchange(SOUND), 201, 'served after them');
  for (const connection of stalled) {
    await connection.ended(PATIENCE_MS);
    connection.destroy();
  }
  assert.deepEqual(workers(), before);
  assert.equal(await count('users'), users + 1);
});

// PostgreSQL restarted under load --------------------------------------------------------------------

/** Registers and updates until told to stop; remembers what the API said was done. */
async function keepWriting(isOver, done) {
  while (!isOver()) {
    const nickname = `Load_${done.length}`;
    const created = await api.create({ nickname });
    assert.ok([201, 503].includes(created.status), `create: ${created.status}`);
    if (created.status !== 201) continue;
    const { id } = created.json.data;
    const known = { id, nickname, stamps: new Set([0]) };
    done.push(known);
    const updated = await api.update(id, { stamps_collected: 7 });
    assert.ok([200, 503].includes(updated.status), `update: ${updated.status}`);
    if (updated.status === 200) known.stamps = new Set([7]);
    else known.stamps.add(7); // nobody knows
  }
}

test('PostgreSQL restarted twice under load: what was answered is stored, once and whole', async () => {
  const master = stack.apiPid;
  const before = workers();
  const done = [];
  let isOver = false;
  const load = Promise.all(Array.from({ length: 8 }, () => keepWriting(() => isOver, done)));
  try {
    for (let restarts = 0; restarts < 2; restarts++) {
      const soFar = done.length;
      await stack.control('restart', 'postgres');
      await eventually('writing goes on', () => done.length > soFar + 100, PATIENCE_MS);
    }
  } finally {
    isOver = true;
    await load;
  }
  await assertWell();
  assert.deepEqual([stack.apiPid, workers()], [master, before], 'nothing had to be restarted');

  const rows = await stack.sql(`select id, nickname, stamps_collected from users where nickname like 'Load\\_%'`);
  const stored = new Map(rows.split('\n').map((row) => [row.slice(0, 36), row.slice(37).split('|')]));
  for (const { id, nickname, stamps } of done) {
    const [name, value] = stored.get(id) ?? [];
    assert.equal(name, nickname);
    assert.ok(stamps.has(Number(value)), `${value} stamps`);
  }
  await assertRowsAreWhole();
  await assertNoConnectionLeaked();
});

test('H93: PostgreSQL without room for our connections: 503, then well again', async () => {
  const server = new URL(stack.operatorEnv.DATABASE_URL.replace('tako@/', 'tako@localhost/'));
  const admin = new Database('tako', `postgres://postgres@/tako${server.search}`);
  const before = workers();
  await admin.sql('alter role tako connection limit 0');
  try {
    await admin.sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'tako'`);
    for (let i = 0; i < POOL_SIZE * 2; i++) assertErrors(await api.get(LEADERBOARD), 503, ['ServiceUnavailable']);
  } finally {
    await admin.sql('alter role tako connection limit -1');
  }
  await assertWell();
  assert.deepEqual(workers(), before);
});
