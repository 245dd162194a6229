// SPDX-License-Identifier: MIT
/*
 * The API through lighttpd with 16 keep-alive connections: registrations, single users by id, and the
 * leaderboard of 1,000 out of 100,000 users. Two yardsticks, in turns with it: pgbench, which does the
 * same statements on 16 connections with nothing in front, and floors, which do next to nothing behind
 * the same lighttpd. Load generator, web server, API and PostgreSQL share the cores, pgbench has
 * PostgreSQL for itself.
 */
import { median } from '../lib/bench.mjs';
import { NUMBER_DIGITS, cgiAnswer, httpgen, pgbench } from '../lib/http.mjs';
import { cpuOfAll, memoryOf } from '../lib/process.mjs';

export const title = 'the HTTP API behind lighttpd, next to pgbench';

const USERS = Number(process.env.USERS ?? 100_000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const SECONDS = Number(process.env.SECONDS ?? 4);
const POOL_SIZE = Number(process.env.POOL_SIZE ?? 16);
const CONNECTIONS = 16;
const LEADERBOARD_ROWS = 1000;
const WORKER_MB = 8;

const COLUMNS = 'id, nickname, stamps_collected, updated_at';
const insert = (nickname) => `INSERT INTO users (id, nickname, stamps_collected, inserted_at, updated_at)
VALUES (gen_random_uuid(), ${nickname}, 0, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
RETURNING ${COLUMNS};
`;
const select = (id) => `SELECT ${COLUMNS} FROM users WHERE id = ${id}::uuid;
`;
const INSERT_SCRIPT = `\\set n random(0, 1000000)
${insert("'Bench_' || :n")}`;
const SELECT_SCRIPT = `\\set n random(0, ${USERS - 1})
${select("('00000000-0000-4000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))")}`;

const CREATE_BODY = '{"data":{"type":"user","attributes":{"nickname":"Bench_{number}"}}}';

function requestText(tako, method, path, body = '') {
  const length = body.replace('{number}', '0'.repeat(NUMBER_DIGITS)).length;
  return [
    `${method} /api/json${path} HTTP/1.1`,
    'Host: bench',
    `Authorization: Bearer ${tako.token}`,
    'Accept: application/vnd.api+json',
    'Content-Type: application/vnd.api+json',
    ...(body ? [`Content-Length: ${length}`] : []),
    '',
    body,
  ].join('\r\n');
}

const KINDS = [
  {
    name: 'single users',
    request: (tako) => requestText(tako, 'GET', '/accounts/users/00000000-0000-4000-8000-{number}'),
    script: SELECT_SCRIPT,
    leastOfPgbench: 0.4,
    floors: [{ name: 'floor' }, { name: 'floor with the SELECT', statement: select('$1') }],
  },
  {
    name: `leaderboards of ${LEADERBOARD_ROWS}`,
    request: (tako) => requestText(tako, 'GET', `/leaderboard?page[limit]=${LEADERBOARD_ROWS}`),
    leastPerSecond: 300,
    floors: [],
  },
  {
    // Last, because it adds users.
    name: 'registrations',
    request: (tako) => requestText(tako, 'POST', '/accounts/users/', CREATE_BODY),
    script: INSERT_SCRIPT,
    leastOfPgbench: 0.5,
    floors: [{ name: 'floor with the INSERT', statement: insert("'Bench_floor'") }],
  },
];

/** The floors of a kind, each with its `program`, which gives a ready-made answer of the API's size. */
async function startFloors(bench, tako, { request, floors }) {
  const started = [];
  for (const { name, statement } of floors) {
    const program = await bench.fcgiFloor({
      socket: `${tako.apiSocket}.${name.replaceAll(' ', '-')}`,
      workers: POOL_SIZE,
      answer: await cgiAnswer({ url: tako.url, request: request(tako) }),
      ...(statement && { database: tako.databaseUrl, statement }),
    });
    started.push({ name, program });
  }
  return started;
}

/** Stamps, so that the leaderboard has an order to find. */
async function prepare(tako) {
  await tako.sql('update users set stamps_collected = (random() * 10)::int; analyze users');
}

async function countUsers(tako) {
  return Number(await tako.sql('select count(*) from users'));
}

async function drive(bench, tako, request, { name, workers }) {
  const before = cpuOfAll(workers);
  const load = { connections: CONNECTIONS, seconds: SECONDS, numbers: USERS };
  const result = await httpgen({ url: tako.url, request: request(tako), ...load });
  const cpuUs = (cpuOfAll(workers) - before) / 1000 / result.answers;
  bench.check(`${name}: ${result.answers} answers, ${result.refused} refused`, result.refused === 0);
  return { ...result, cpuUs };
}

/** One round: pgbench, the API, then each floor in its place. */
async function measure(bench, tako, { name, request, script }, floors) {
  const load = { connections: CONNECTIONS, seconds: SECONDS };
  const tps = script && (await pgbench({ databaseUrl: tako.databaseUrl, script, ...load }));
  const withShare = (result) => ({ ...result, tps, share: tps && result.per_s / tps });
  const api = withShare(await drive(bench, tako, request, { name, workers: tako.apiWorkers }));
  const round = [api];
  for (const { name: floor, program } of floors) {
    const result = await tako.withApiFrom(program.socket, () =>
      drive(bench, tako, request, { name: floor, workers: program.workers }),
    );
    round.push({ ...withShare(result), takoShare: api.per_s / result.per_s });
  }
  return round;
}

/** What is measured under a name, round by round. */
async function measureKind(bench, tako, kind) {
  const floors = await startFloors(bench, tako, kind);
  const warmUp = { connections: CONNECTIONS, seconds: 1, numbers: USERS };
  await httpgen({ url: tako.url, request: kind.request(tako), ...warmUp });
  const rounds = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await measure(bench, tako, kind, floors));
  return [kind, ...floors].map(({ name }, i) => ({ name, results: rounds.map((round) => round[i]) }));
}

export async function run(bench) {
  const env = { POOL_SIZE: String(POOL_SIZE), TAKO_RATE_POST: '0', TAKO_RATE_OTHER: '0' };
  const tako = await bench.tako({ users: USERS, env });
  await prepare(tako);
  const measured = [];
  for (const kind of KINDS) measured.push({ kind, rows: await measureKind(bench, tako, kind) });
  bench.check('all registrations are rows', (await countUsers(tako)) > USERS);
  report(bench, measured);
  const rss = Math.max(...tako.apiWorkers.map((pid) => memoryOf(pid).rss)) / 2 ** 20;
  bench.target('RSS of the largest API worker', rss, 'MB', { most: WORKER_MB });
}

const HEAD = ['', 'answers/s', 'pgbench/s', 'of pgbench', "tako's of it", 'p50', 'p99', 'CPU us in a worker'];

const medianOf = (results, key) => median(results.map((result) => result[key]));

function tableRow({ name, results }) {
  const of = (key) => medianOf(results, key);
  const ratio = (key) => (results[0][key] ? of(key).toFixed(2) : '');
  const ms = (key) => `${(of(key) / 1000).toFixed(1)} ms`;
  const tps = results[0].tps ? Math.round(of('tps')) : '';
  const rest = [ratio('share'), ratio('takoShare'), ms('p50_us'), ms('p99_us'), of('cpuUs').toFixed(0)];
  return [name, Math.round(of('per_s')), tps, ...rest];
}

/** A target that even a floor misses says more about web server and machine than about the API. */
function sayWhatIsOutOfReach(bench, { name, leastOfPgbench }, floors) {
  for (const floor of floors) {
    const share = medianOf(floor.results, 'share');
    const found = `${name}: the ${floor.name} gets ${share.toFixed(2)} of pgbench's`;
    if (share < leastOfPgbench) bench.say(`${found}, less than the API's target of ${leastOfPgbench}`);
  }
}

function report(bench, measured) {
  bench.table([HEAD, ...measured.flatMap(({ rows }) => rows.map(tableRow))]);
  for (const { kind, rows } of measured) {
    const { name, leastOfPgbench, leastPerSecond } = kind;
    const [{ results }, ...floors] = rows;
    if (leastOfPgbench)
      bench.target(`${name}, of pgbench's`, medianOf(results, 'share'), 'x', { least: leastOfPgbench });
    else bench.target(name, medianOf(results, 'per_s'), '/s', { least: leastPerSecond });
    sayWhatIsOutOfReach(bench, kind, floors);
  }
}
