// SPDX-License-Identifier: MIT
/*
 * takoctl migrate against a real PostgreSQL: an empty database, the original's, and those it must
 * not touch (http-api.md H56, H57, H86).
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgres } from '../support/postgres.mjs';
import { run, whileFrozen } from '../support/proc.mjs';
import { TAKO_BIN } from '../support/stack.mjs';
import { after, eventually, table, test, timed } from '../support/testing.mjs';

const MIGRATIONS = fileURLToPath(new URL('../../sql/migrations', import.meta.url));
const TAKOCTL = join(TAKO_BIN, 'takoctl');
const CREATE_USERS = 20261123000100;
const INDEX_LEADERBOARD = 20261123000200;
const CREATE_IDEMPOTENCY_KEYS = 20261123000300;
const OURS = [CREATE_USERS, INDEX_LEADERBOARD, CREATE_IDEMPOTENCY_KEYS];

const postgres = await startPostgres();
const scratch = await mkdtemp(join(tmpdir(), 'tako-migrate-'));
after(() => rm(scratch, { recursive: true, force: true }));

/** Nothing of the caller's own databases. */
function environment(database, extra) {
  const settings = { DATABASE_URL: database?.url, TAKO_MIGRATIONS_DIR: MIGRATIONS, ...extra };
  const env = Object.entries({ ...process.env, ...settings });
  return Object.fromEntries(env.filter(([name, value]) => value !== undefined && !/^PG/.test(name)));
}

function migrate(database, args = [], { env, takoctl = TAKOCTL } = {}) {
  return run(takoctl, ['migrate', ...args], {
    env: environment(database, env),
    cwd: scratch,
    timeout: 40_000,
  });
}

async function migrateOk(database, ...args) {
  const { code, stdout, stderr } = await migrate(database, args);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

async function versions(database) {
  const rows = await database.rows('select version from schema_migrations order by version');
  return rows.map((row) => row.version);
}

const columns = (database) =>
  database.rows(`
    select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as required,
           pg_get_expr(adbin, adrelid) as "default"
    from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid = 'users'::regclass and attnum > 0 and not attisdropped order by attnum`);

const TIMESTAMP = { type: 'timestamp(6) without time zone', required: true, default: 'now()' };
const USERS_COLUMNS = [
  { name: 'id', type: 'uuid', required: true, default: null },
  { name: 'nickname', type: 'text', required: false, default: null },
  { name: 'stamps_collected', type: 'bigint', required: false, default: '0' },
  { name: 'inserted_at', ...TIMESTAMP },
  { name: 'updated_at', ...TIMESTAMP },
];

/** What Ecto and Ash leave behind, reduced to what touches tako; filled with a few years of users. */
const ORIGINAL = `
  create table schema_migrations (version bigint primary key, inserted_at timestamp(0));
  insert into schema_migrations values
    (20230411020304, '2023-04-11 02:03:05'), (20230502101112, '2023-05-02 10:11:13');
  create function make_id() returns uuid language sql as 'select gen_random_uuid()';
  create table users (
    id uuid not null default make_id(),
    nickname text,
    stamps_collected bigint default 0,
    inserted_at timestamp(6) without time zone not null default now(),
    updated_at timestamp(6) without time zone not null default now(),
    constraint users_pkey primary key (id)
  );
  insert into users (id, nickname, stamps_collected, inserted_at, updated_at) values
    ('681adb8b-be3d-4fca-8858-2827609d9b22', 'Cruel_KFP', 7,
     '2023-05-20 10:00:00.123456', '2023-05-21 11:00:00.654321'),
    ('00000000-0000-4000-8000-000000000001', null, null,
     '2023-05-20 10:00:01', '2023-05-20 10:00:01'),
    ('00000000-0000-4000-8000-000000000002', 'x', -5,
     '2023-05-20 10:00:02', '2023-05-20 10:00:02'),
    ('00000000-0000-4000-8000-000000000003', repeat('long ', 20000), 9223372036854775807,
     '2023-05-20 10:00:03', '2023-05-20 10:00:03');`;

async function originalDatabase() {
  const database = await postgres.createDatabase();
  await database.sql(ORIGINAL);
  return database;
}

/** A directory of migrations that are not tako's: {file name: SQL}. */
async function migrationsDirectory(files) {
  const dir = await mkdtemp(join(scratch, 'migrations-'));
  for (const [name, sql] of Object.entries(files)) await writeFile(join(dir, name), sql);
  return dir;
}

const hasTable = async (database, name) => {
  return (await database.sql(`select to_regclass('${name}') is not null`)) === 't';
};

test('H56: an empty database gets exactly the schema of the original', async () => {
  const database = await postgres.createDatabase();
  const output = await migrateOk(database);
  for (const version of OURS) assert.match(output, new RegExp(`^applied ${version} `, 'm'));
  assert.deepEqual(await columns(database), USERS_COLUMNS);
  assert.deepEqual(await versions(database), OURS);
  assert.deepEqual(
    await database.rows(`
      select pg_get_constraintdef(oid) as definition from pg_constraint
      where conrelid = 'users'::regclass`),
    [{ definition: 'PRIMARY KEY (id)' }],
  );
});

test("schema_migrations is Ecto's, with the time in UTC", async () => {
  const database = await postgres.createDatabase();
  await database.sql(`alter database ${database.name} set timezone = 'Asia/Tokyo'`);
  await migrateOk(database);
  const [row] = await database.rows(`
    select pg_typeof(version) as version, format_type(atttypid, atttypmod) as inserted_at,
           abs(extract(epoch from (now() at time zone 'utc') - inserted_at)) < 60 as is_now
    from schema_migrations, pg_attribute
    where attrelid = 'schema_migrations'::regclass and attname = 'inserted_at' limit 1`);
  assert.deepEqual(row, {
    version: 'bigint', inserted_at: 'timestamp(0) without time zone', is_now: true,
  });
});

test('H86: the leaderboard reads the partial index instead of sorting', async () => {
  const database = await postgres.createDatabase();
  await migrateOk(database);
  const plan = await database.sql(`
    set enable_seqscan = off; set enable_bitmapscan = off;
    explain select nickname::text, stamps_collected::bigint from users where nickname is not null
    order by stamps_collected desc nulls last, inserted_at, id limit 1000`);
  assert.match(plan, /Index Scan using users_leaderboard/);
  assert.doesNotMatch(plan, /Sort/);
});

test('a second run does nothing and says so', async () => {
  const database = await postgres.createDatabase();
  await migrateOk(database);
  const before = await database.rows('select * from schema_migrations order by version');
  assert.equal(await migrateOk(database), `nothing to do: all ${OURS.length} migrations are applied\n`);
  assert.deepEqual(await database.rows('select * from schema_migrations order by version'), before);
});

test('six at once: the work is done once, and all succeed', async () => {
  const database = await postgres.createDatabase();
  const results = await Promise.all(Array.from({ length: 6 }, () => migrate(database)));
  for (const { code, stdout, stderr } of results) assert.equal(code, 0, stdout + stderr);
  const lines = results.flatMap(({ stdout }) => stdout.match(/^applied \d+/gm) ?? []);
  assert.deepEqual(lines.sort(), OURS.map((version) => `applied ${version}`));
  assert.deepEqual(await versions(database), OURS);
});

test("H56, H57: the original's database is adopted with everything in it", async () => {
  const database = await originalDatabase();
  const users = 'select * from users order by id';
  const before = { users: await database.rows(users), columns: await columns(database) };
  await migrateOk(database);
  assert.deepEqual(await database.rows(users), before.users);
  assert.deepEqual(await columns(database), before.columns);
  assert.deepEqual(await versions(database), [20230411020304, 20230502101112, ...OURS]);
  assert.equal(
    await database.sql('select inserted_at from schema_migrations where version = 20230411020304'),
    '2023-04-11 02:03:05',
  );
  // The original goes on using it: its defaults, and its migrator's next row.
  await database.sql(`insert into users (nickname) values ('Original');
    insert into schema_migrations values (20270101000000, now())`);
  assert.equal(await migrateOk(database), `nothing to do: all ${OURS.length} migrations are applied\n`);
});

test('--status tells applied, pending and foreign rows, by version', async () => {
  const database = await originalDatabase();
  const status = async () => {
    const lines = (await migrateOk(database, '--status')).trimEnd().split('\n');
    return lines.map((line) => /^(\w+) +(\d{14}) +(\S+(?: \d\d:\d\d:\d\d)?) +(.*)$/.exec(line).slice(1));
  };
  const FOREIGN = "(another program's, or a newer tako's)";
  const original = [
    ['foreign', '20230411020304', '2023-04-11 02:03:05', FOREIGN],
    ['foreign', '20230502101112', '2023-05-02 10:11:13', FOREIGN],
  ];
  assert.deepEqual(await status(), [
    ...original,
    ['pending', String(CREATE_USERS), '-', 'create_users'],
    ['pending', String(INDEX_LEADERBOARD), '-', 'index_leaderboard'],
    ['pending', String(CREATE_IDEMPOTENCY_KEYS), '-', 'create_idempotency_keys'],
  ]);
  await migrateOk(database);
  await database.sql('insert into schema_migrations values (20990101000000, null)');
  const now = await status();
  assert.deepEqual(now.slice(0, 2), original);
  const states = ['foreign', 'foreign', ...OURS.map(() => 'applied'), 'foreign'];
  assert.deepEqual(now.map(([state]) => state), states);
  assert.match(now[2][2], /^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$/);
  assert.equal(now.at(-1)[2], '-');
});

test('--status of an empty database creates nothing', async () => {
  const database = await postgres.createDatabase();
  const output = await migrateOk(database, '--status');
  assert.equal(output.match(/^pending /gm).length, OURS.length);
  assert.equal(await hasTable(database, 'schema_migrations'), false);
});

const GOOD_USERS = {
  id: 'uuid primary key',
  nickname: 'text',
  stamps_collected: 'bigint default 0',
  inserted_at: 'timestamp(6) not null default now()',
  updated_at: 'timestamp(6) not null default now()',
};

/** CREATE TABLE users with some columns different; null leaves one out. */
function usersTable(changes) {
  const all = Object.entries({ ...GOOD_USERS, ...changes }).filter(([, type]) => type !== null);
  return `create table users (${all.map(([name, type]) => `${name} ${type}`).join(', ')})`;
}

table(
  'a table users that tako cannot use is left alone, and the error says why',
  [
    [{ stamps_collected: 'integer' }, 'column stamps_collected is integer, must be bigint'],
    [{ id: 'text primary key' }, 'column id is text, must be uuid'],
    [{ id: 'uuid not null' }, 'column id is not the primary key'],
    [{ nickname: null }, 'column nickname is missing, must be text'],
    [{ nickname: 'varchar(20)' }, 'column nickname is character varying(20), must be text'],
    [{ nickname: 'text not null' }, 'column nickname is NOT NULL, must allow null'],
    [{ updated_at: 'timestamptz not null' }, 'column updated_at is timestamp with time zone'],
    [{ updated_at: 'timestamp(0) not null' }, 'column updated_at is timestamp(0) without time zone'],
    [{ email: 'text not null' }, 'column email is NOT NULL without a default'],
    [{ id: null, nickname: null }, 'column id is missing, must be uuid'],
  ],
  ([changes, message]) => `${JSON.stringify(changes)}: ${message}`,
  async ([changes, message]) => {
    const database = await postgres.createDatabase();
    await database.sql(usersTable(changes));
    const before = await columns(database);
    const { code, stderr } = await migrate(database);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`${CREATE_USERS}_create_users: the table users`), stderr);
    assert.ok(stderr.includes(message), stderr);
    assert.match(stderr, /Nothing was changed/);
    assert.deepEqual(await columns(database), before);
    assert.deepEqual(await versions(database), []);
  },
);

table(
  'a table users that differs in what does not matter is adopted',
  [
    { nickname: 'varchar(255)' },
    { nickname: 'varchar' },
    { inserted_at: 'timestamp not null', updated_at: 'timestamp not null' },
    { stamps_collected: 'bigint' },
    { email: 'text', score: 'int not null default 0', number: 'int generated always as identity' },
    { id: 'uuid unique' },
  ],
  (changes) => JSON.stringify(changes),
  async (changes) => {
    const database = await postgres.createDatabase();
    await database.sql(usersTable(changes));
    await migrateOk(database);
    assert.deepEqual(await versions(database), OURS);
  },
);

test('a view named users is no table', async () => {
  const database = await postgres.createDatabase();
  await database.sql(`create view users as select gen_random_uuid() as id, 'x' as nickname`);
  const { code, stderr } = await migrate(database);
  assert.equal(code, 1);
  assert.match(stderr, /it is not a table/);
});

test("another program's schema_migrations is left alone", async () => {
  const database = await postgres.createDatabase();
  await database.sql('create table schema_migrations (version varchar primary key)');
  for (const args of [[], ['--status']]) {
    const { code, stderr } = await migrate(database, args);
    assert.equal(code, 1);
    assert.match(stderr, /schema_migrations is not what Ecto and tako use/);
  }
  assert.equal(await hasTable(database, 'users'), false);
});

test('who waits for another migration says for whom, and gives up in time', async () => {
  const database = await postgres.createDatabase();
  const holder = await database.hold('select pg_advisory_lock(1952541551)');
  const { result, ms } = await timed(() => migrate(database, ['--wait', '1']));
  assert.equal(result.code, 1);
  assert.match(result.stderr, /waiting up to 1 s more: another migration is running/);
  assert.match(result.stderr, new RegExp(`gave up after 1 s: .*process ${holder.pid} \\(psql\\)`));
  assert.ok(ms > 900 && ms < 8000, `${ms} ms`);
  assert.equal(await hasTable(database, 'schema_migrations'), false);

  const patient = migrate(database, ['--wait', '30']);
  await holder.release();
  assert.equal((await patient).code, 0);
});

test("the original's migrator, which locks schema_migrations, is waited for", async () => {
  const database = await originalDatabase();
  const holder = await database.hold(
    'begin; lock table schema_migrations in share update exclusive mode',
  );
  const impatient = await migrate(database, ['--wait', '0']);
  assert.equal(impatient.code, 1);
  assert.match(impatient.stderr, new RegExp(`a lock is held.*process ${holder.pid} \\(psql\\)`));
  assert.deepEqual((await versions(database)).length, 2);

  const patient = migrate(database, ['--wait', '30']);
  await eventually('it waits for the lock', async () => {
    return (await database.sql('select count(*) from pg_locks where not granted')) === '1';
  });
  await holder.release();
  const { code, stdout, stderr } = await patient;
  assert.equal(code, 0, stdout + stderr);
  assert.deepEqual((await versions(database)).slice(2), OURS);
});

test('a migration that fails leaves nothing of itself, and those behind it wait', async () => {
  const database = await postgres.createDatabase();
  const files = {
    '20260101000000_one.sql': 'create table one (n int);',
    '20260102000000_two.sql': 'create table two (n int); select 1 / 0;',
    '20260103000000_three.sql': 'create table three (n int);',
  };
  const env = { TAKO_MIGRATIONS_DIR: await migrationsDirectory(files) };
  const { code, stdout, stderr } = await migrate(database, [], { env });
  assert.equal(code, 1);
  assert.match(stdout, /^applied 20260101000000 one \(\d+ ms\)\n$/);
  assert.match(stderr, /20260102000000_two: division by zero\nSQLSTATE 22012/);
  assert.deepEqual(await versions(database), [20260101000000]);
  assert.equal(await hasTable(database, 'two'), false);
  assert.equal(await hasTable(database, 'three'), false);

  await writeFile(join(env.TAKO_MIGRATIONS_DIR, '20260102000000_two.sql'), 'create table two (n int);');
  assert.equal((await migrate(database, [], { env })).code, 0);
  assert.deepEqual(await versions(database), [20260101000000, 20260102000000, 20260103000000]);
});

test('a migration must not end its transaction itself', async () => {
  const database = await postgres.createDatabase();
  const dir = await migrationsDirectory({ '20260101000000_one.sql': 'create table one (); commit;' });
  const { code, stderr } = await migrate(database, [], { env: { TAKO_MIGRATIONS_DIR: dir } });
  assert.equal(code, 1);
  assert.match(stderr, /20260101000000_one: it ends its transaction itself/);
  assert.deepEqual(await versions(database), []);
});

test('a migration without a transaction runs again from its start after a failure', async () => {
  const database = await postgres.createDatabase();
  const file = '20260101000000_one.sql';
  const create = '-- no-transaction\ncreate table if not exists one (n int);\n';
  const dir = await migrationsDirectory({ [file]: `${create}select 1 / 0;\n` });
  const env = { TAKO_MIGRATIONS_DIR: dir };
  assert.equal((await migrate(database, [], { env })).code, 1);
  assert.equal(await hasTable(database, 'one'), true);
  assert.deepEqual(await versions(database), []);
  await writeFile(join(dir, file), `${create}create index concurrently on one (n);\n`);
  assert.equal((await migrate(database, [], { env })).code, 0);
  assert.deepEqual(await versions(database), [20260101000000]);
});

test('an index that a broken-off CREATE INDEX CONCURRENTLY left invalid is built anew', async () => {
  const database = await postgres.createDatabase();
  const isValid = () =>
    database.sql("select indisvalid from pg_index where indexrelid = 'users_leaderboard'::regclass");
  await migrateOk(database);
  await database.sql(`
    update pg_index set indisvalid = false where indexrelid = 'users_leaderboard'::regclass;
    delete from schema_migrations where version = ${INDEX_LEADERBOARD}`);
  assert.equal(await isValid(), 'f');
  await migrateOk(database);
  assert.equal(await isValid(), 't');
});

test('users can be written while the index is built', async () => {
  const database = await originalDatabase();
  await migrateOk(database);
  await database.sql(`delete from schema_migrations where version = ${INDEX_LEADERBOARD}`);
  // An open transaction that has seen the table keeps CREATE INDEX CONCURRENTLY waiting.
  const reader = await database.hold(
    'begin isolation level repeatable read; select count(*) from users',
  );
  const building = migrate(database);
  await eventually('the index is being built', async () => {
    const waiting = await database.rows(`
      select pid from pg_stat_activity where datname = current_database() and
        wait_event_type = 'Lock' and query ilike '%index concurrently%'`);
    return waiting.length === 1;
  });
  await database.sql("set statement_timeout = '2s'; insert into users (nickname) values ('Meanwhile')");
  await reader.release();
  assert.equal((await building).code, 0);
});

test('takoctl finds the migrations that belong to it, installed or built', async () => {
  const layouts = [
    { bin: 'prefix/bin', sql: 'prefix/share/tako/sql/migrations' },
    { bin: 'checkout/build/bin', sql: 'checkout/sql/migrations' },
  ];
  for (const { bin, sql } of layouts) {
    const takoctl = join(scratch, bin, 'takoctl');
    await mkdir(join(scratch, bin), { recursive: true });
    await cp(TAKOCTL, takoctl);
    await cp(MIGRATIONS, join(scratch, sql), { recursive: true });
    const database = await postgres.createDatabase();
    const env = { TAKO_MIGRATIONS_DIR: undefined };
    const { code, stdout, stderr } = await migrate(database, [], { env, takoctl });
    assert.equal(code, 0, stdout + stderr);
    assert.deepEqual(await versions(database), OURS);
  }
});

test('a directory that is not there or holds a misnamed file is named in the error', async () => {
  const database = await postgres.createDatabase();
  const missing = await migrate(database, [], { env: { TAKO_MIGRATIONS_DIR: '/nowhere' } });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /cannot open \/nowhere: .*TAKO_MIGRATIONS_DIR/);
  const dir = await migrationsDirectory({ 'users.sql': 'select 1;' });
  const misnamed = await migrate(database, [], { env: { TAKO_MIGRATIONS_DIR: dir } });
  assert.equal(misnamed.code, 1);
  assert.match(misnamed.stderr, /users\.sql: must be named like/);
});

test('a database that cannot be reached: what to do, and no password', async () => {
  const url = `postgres://tako:geheim@/tako?host=${scratch}`;
  const { code, stderr } = await migrate({ url });
  assert.equal(code, 1);
  assert.match(stderr, /Start PostgreSQL, or set DATABASE_URL/);
  assert.doesNotMatch(stderr, /geheim/);
});

test('a database that says nothing ends in time', async () => {
  const database = await postgres.createDatabase();
  const url = `${database.url}&connect_timeout=2`;
  await whileFrozen(postgres.pid, async () => {
    const { result, ms } = await timed(() => migrate({ url }));
    assert.equal(result.code, 1);
    assert.ok(ms < 8000, `${ms} ms`);
  });
});

test('without DATABASE_URL: a usage error that names it, and a stack here is hinted at', async () => {
  const missing = await migrate(undefined);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /DATABASE_URL: is required and not set/);
  assert.doesNotMatch(missing.stderr, /stack\.env/);
  await mkdir(join(scratch, 'var'));
  await writeFile(join(scratch, 'var/stack.env'), 'DATABASE_URL=postgres:///not-read\n');
  const hinted = await migrate(undefined);
  assert.equal(hinted.code, 2);
  assert.match(hinted.stderr, /set -a; \. \.\/var\/stack\.env; set \+a/);
});
