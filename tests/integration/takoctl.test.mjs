// SPDX-License-Identifier: MIT
/*
 * takoctl by itself: the commands about users when there is a database and no Redis, and `nodes`
 * with a Redis whose keys anybody may have written. cluster.test.mjs has takoctl with brokers.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UUID } from '../support/http.mjs';
import { startPostgres } from '../support/postgres.mjs';
import { run } from '../support/proc.mjs';
import { startRedis } from '../support/redis.mjs';
import { TAKO_BIN } from '../support/stack.mjs';
import { table, test } from '../support/testing.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NOBODY = '00000000-0000-4000-8000-000000000000';

const postgres = await startPostgres();
const redis = await startRedis();
const database = await postgres.createDatabase();

function takoctl(args, env = {}) {
  const settings = {
    DATABASE_URL: database.url,
    REDIS_URL: 'unix:///nowhere/redis.sock',
    TAKO_MIGRATIONS_DIR: join(ROOT, 'sql/migrations'),
    TAKO_PROFANITY_FILE: join(ROOT, 'common/accounts/profanity.txt'),
    ...env,
  };
  return run(join(TAKO_BIN, 'takoctl'), args, { env: { ...process.env, ...settings } });
}

async function takoctlOk(...args) {
  const { code, stdout, stderr } = await takoctl(args);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

/** The value behind a name in what `user` prints. */
const valueOf = (output, name) => new RegExp(`^${name} +(.*)$`, 'm').exec(output)?.[1];

const storedUser = (id) =>
  database.rows(`select nickname, stamps_collected from users where id = '${id}'`);

test('without a schema: what to do', async () => {
  const { code, stderr } = await takoctl(['user', 'show', NOBODY]);
  assert.equal(code, 1);
  assert.match(stderr, /takoctl migrate --status/);
  await takoctlOk('migrate');
});

test('a user is stored although Redis is away: a warning, no failure, nobody made twice', async () => {
  const { code, stdout, stderr } = await takoctl([
    'user', 'create', '--nickname', '  Calm_Takodachi ', '--stamps=3',
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /warning: the user is stored, but the brokers were not told/);
  const id = valueOf(stdout, 'id');
  assert.match(id, UUID);
  assert.match(valueOf(stdout, 'public_id'), /^[A-Za-z0-9_-]{22}$/);
  assert.deepEqual(await storedUser(id), [{ nickname: 'Calm_Takodachi', stamps_collected: 3 }]);

  const changed = await takoctl(['user', 'set', id, '--stamps', '10']);
  assert.equal(changed.code, 0);
  assert.match(changed.stderr, /not told/);
  assert.deepEqual(await storedUser(id), [{ nickname: 'Calm_Takodachi', stamps_collected: 10 }]);

  const unchanged = await takoctl(['user', 'set', id, '--stamps', '10']);
  assert.equal(unchanged.code, 0);
  assert.equal(unchanged.stderr, '', 'no news, nobody to tell');
});

test('H48: an empty nickname takes the name away', async () => {
  const id = valueOf(await takoctlOk('user', 'create', '--nickname', 'Gone_Soon'), 'id');
  const output = await takoctlOk('user', 'set', id, '--nickname', '');
  assert.equal(valueOf(output, 'nickname'), 'none');
  assert.deepEqual(await storedUser(id), [{ nickname: null, stamps_collected: 0 }]);
});

table(
  'what breaks a rule of the API is a usage error, and nothing is stored (H46-H52)',
  [
    [['create', '--nickname', 'x'.repeat(25)], /at most 24 characters/],
    [['create', '--nickname', 'line\nbreak'], /not allowed/],
    [['create', '--nickname', 'my ass'], /a word that is not allowed/],
    [['create', '--stamps', '-1'], /--stamps must be a whole number/],
    [['create', '--stamps', '9007199254740992'], /between 0 and 9007199254740991/],
    [['create', 'Nickname'], /one word too many/],
    [['set', NOBODY, '--nickname', 'ab'], /between 3 and 24 characters/],
    [['set', NOBODY], /nothing to set/],
    [['set', 'not-a-uuid', '--stamps', '1'], /must be a UUID/],
  ],
  ([args]) => JSON.stringify(args).slice(0, 60),
  async ([args, message]) => {
    const count = 'select count(*) from users';
    const before = await database.sql(count);
    const { code, stderr } = await takoctl(['user', ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.equal(await database.sql(count), before);
  },
);

test('TAKO_PROFANITY_FILE=none switches the word list off; a missing file is an error', async () => {
  const args = ['user', 'create', '--nickname', 'my ass'];
  assert.equal((await takoctl(args, { TAKO_PROFANITY_FILE: 'none' })).code, 0);
  const missing = await takoctl(args, { TAKO_PROFANITY_FILE: '/nowhere/words.txt' });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /word list cannot be used: \/nowhere\/words\.txt: No such file/);
});

test('a user who is not there is a failure', async () => {
  for (const args of [['show', NOBODY], ['set', NOBODY, '--stamps', '1']]) {
    const { code, stderr } = await takoctl(['user', ...args]);
    assert.equal(code, 1);
    assert.doesNotMatch(stderr, /brokers/);
    assert.match(stderr, /there is no such user/);
  }
});

test('H57: rows of the original are shown as stored, and cannot steer the terminal', async () => {
  await database.sql(`insert into users (id, nickname, stamps_collected)
    values ('${NOBODY}', E'a\\x1b[2J"\\u202e', null)`);
  const output = await takoctlOk('user', 'show', NOBODY.toUpperCase());
  assert.equal(valueOf(output, 'nickname'), '"a\\u001b[2J\\"\\u202e"');
  assert.equal(valueOf(output, 'stamps_collected'), 'none');
});

test('nodes: entries of any content are shown, and harm nobody', async () => {
  const nodes = async () => {
    const { code, stdout, stderr } = await takoctl(['nodes', '--json'], { REDIS_URL: redis.url });
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  assert.deepEqual(await nodes(), []);

  const entry = {
    broker: 'b', worker: '10', pid: '4711', port: '4000', state: 'draining', connections: '3',
    topics: '2', version: '1.0', incarnation: 'abc', queue_peak: '10', redis_peak: '11',
    handshakes_peak: '12', lookups_peak: '13', statements: '14', refused: '15',
    lease: '90000',
  };
  for (const worker of ['10', '9']) {
    const fields = Object.entries({ ...entry, worker }).flat();
    await redis.command('HSET', `tako:node:b/${worker}@abc`, ...fields);
    await redis.command('PEXPIRE', `tako:node:b/${worker}@abc`, '60000');
  }
  await redis.command('SET', 'tako:node:no-hash', 'x');
  await redis.command('HSET', 'tako:node:z\x1b[2J', 'broker', 'z\n', 'pid', '1e3', 'port', '-1');

  const [first, second, odd, ...rest] = await nodes();
  assert.deepEqual(rest, []);
  assert.ok(first.lease_ms > 0 && first.lease_ms <= 60000);
  assert.equal(first.lease_age_ms, 90000 - first.lease_ms);
  assert.deepEqual({ ...first, lease_ms: 0, lease_age_ms: 0 }, {
    node: 'b/9@abc', broker: 'b', worker: 9, pid: 4711, port: 4000, state: 'draining',
    connections: 3, topics: 2, version: '1.0', incarnation: 'abc', queue_peak: 10, redis_peak: 11,
    handshakes_peak: 12, lookups_peak: 13, statements: 14, refused: 15, lease: 90000,
    lease_ms: 0, lease_age_ms: 0,
  });
  assert.equal(second.worker, 10, 'workers are in order of their number');
  assert.deepEqual(odd, {
    node: 'z\x1b[2J', broker: 'z\n', worker: null, pid: null, port: null, state: null,
    connections: null, topics: null, version: null, incarnation: null, queue_peak: null,
    redis_peak: null, handshakes_peak: null, lookups_peak: null, statements: null, refused: null,
    lease: null, lease_ms: null, lease_age_ms: null,
  });

  const { stdout } = await takoctl(['nodes'], { REDIS_URL: redis.url });
  assert.match(stdout, /^NODE +BROKER +WORKER .* QUEUE PEAK +REDIS PEAK +VERSION +AGE +LEASE$/m);
  assert.match(stdout, /^b\/9@abc +b +9 +4711 +4000 +draining +3 +2 +10 +11 +1\.0 +\d+\.\ds +\d+\.\ds$/m);
  assert.match(stdout, /^z\\x1b\[2J +z\\x0a +- +1e3 +-1 /m);
});

test('presence: who is there, without the dead, the returned, and what is no presence', async () => {
  const entry = (ref, key, since, kept, meta) => [
    'HSET', 'tako:presence:room:1', ref, `[7,"${ref.slice(-16)}","${key}",${since},${kept},${meta}]`,
  ];
  const ref = (node, n) => `${node}|AAAAAAAAAAAAAAA${n}`;
  await redis.command('HSET', 'tako:node:live/0@a', 'floor', '0');
  await redis.command(...entry(ref('live/0@a', 2), 'ann', 2000, 0, '{"nickname":"Ann\\u001b","n":2}'));
  await redis.command(...entry(ref('live/0@a', 1), 'ann', 1000, 0, '{"nickname":"Ann","n":1}'));
  await redis.command(...entry(ref('live/0@a', 3), 'ann', 500, 1, '{"nickname":"Ann","n":3}'));
  await redis.command(...entry(ref('live/0@a', 4), 'bob', 500, 1, '{"nickname":null}'));
  await redis.command(...entry(ref('dead/0@a', 5), 'eve', 500, 0, '{}'));
  for (const junk of ['', '[]', '{}', '[1,2,3,4,5,6]', `[${'['.repeat(200)}`])
    await redis.command('HSET', 'tako:presence:room:1', `live/0@a|junk${junk.length}`, junk);
  const env = { REDIS_URL: redis.url };
  const json = JSON.parse((await takoctl(['presence', 'room:1', '--json'], env)).stdout);
  assert.deepEqual(json, {
    ann: { metas: [{ nickname: 'Ann', n: 1 }, { nickname: 'Ann\x1b', n: 2 }] },
    bob: { metas: [{ nickname: null }] },
  });
  const { stdout } = await takoctl(['presence', 'room:1'], env);
  assert.match(stdout, /^ann +1970-01-01T00:00:02Z +here +live\/0@a +"Ann\\u001b"$/m);
  assert.match(stdout, /^bob +1970-01-01T00:00:00Z +lingering +live\/0@a +-$/m);
  assert.match(stdout, /^2 users, 3 presences$/m);
  assert.equal((await takoctl(['presence', 'room:none'], env)).stdout, 'nobody is present\n');
  assert.equal((await takoctl(['presence', 'room:none', '--json'], env)).stdout, '{}\n');
  await redis.command('SET', 'tako:presence:room:odd', 'x');
  const { code, stderr } = await takoctl(['presence', 'room:odd'], env);
  assert.equal(code, 1);
  assert.match(stderr, /WRONGTYPE/);
});

test('broadcast needs no DATABASE_URL, not even a right one', async () => {
  const env = { REDIS_URL: redis.url, DATABASE_URL: 'nonsense', TAKO_STAMPS_MAX: 'nonsense' };
  const { code, stdout, stderr } = await takoctl(['broadcast', 'room:1', 'news', '{}'], env);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /no broker worker heard it/);
});

test('output that cannot be written is a failure', async () => {
  const { code, stderr } = await run('sh', ['-c', '"$0" --help >/dev/full', join(TAKO_BIN, 'takoctl')]);
  assert.equal(code, 1);
  assert.match(stderr, /cannot write to standard output/);
});

test('half of a command\'s name is answered with its other halves', async () => {
  const half = await takoctl(['user', 'rename']);
  assert.equal(half.code, 2);
  assert.match(half.stderr, /^takoctl: there is no command "user rename".*\n( {2}takoctl user \w+ .+\n){3}$/);
  const none = await takoctl(['rename']);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /^takoctl: there is no command "rename".*\n$/);
});
