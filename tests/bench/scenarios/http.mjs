// SPDX-License-Identifier: MIT
/*
 * The API through lighttpd with 16 keep-alive connections, in turns with pgbench, which does the same
 * statements on 16 connections with nothing in front: registrations, single users by id, and the
 * leaderboard of 1,000 out of 100,000 users. Load generator, web server, API and PostgreSQL share the
 * cores, pgbench has PostgreSQL for itself.
 */
import { median } from '../lib/bench.mjs';
import { httpgen, pgbench } from '../lib/http.mjs';
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
const INSERT = `\\set n random(0, 1000000)
INSERT INTO users (id, nickname, stamps_collected, inserted_at, updated_at)
VALUES (gen_random_uuid(), 'Bench_' || :n, 0, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
RETURNING ${COLUMNS};
`;
const SELECT = `\\set n random(0, ${USERS - 1})
SELECT ${COLUMNS} FROM users WHERE id = ('00000000-0000-4000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid;
`;

const CREATE_BODY = '{"data":{"type":"user","attributes":{"nickname":"Bench_{number}"}}}';
const DIGITS = 12;

function requestText(tako, method, path, body = '') {
  const length = body.replace('{number}', '0'.repeat(DIGITS)).length;
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
    script: SELECT,
    leastOfPgbench: 0.4,
  },
  {
    name: `leaderboards of ${LEADERBOARD_ROWS}`,
    request: (tako) => requestText(tako, 'GET', `/leaderboard?page[limit]=${LEADERBOARD_ROWS}`),
    leastPerSecond: 300,
  },
  {
    // Last, because it adds users.
    name: 'registrations',
    request: (tako) => requestText(tako, 'POST', '/accounts/users/', CREATE_BODY),
    script: INSERT,
    leastOfPgbench: 0.5,
  },
];

async function measure(bench, tako, { name, request, script }) {
  const load = { connections: CONNECTIONS, seconds: SECONDS };
  const tps = script && (await pgbench({ databaseUrl: tako.databaseUrl, script, ...load }));
  const before = cpuOfAll(tako.apiWorkers);
  const result = await httpgen({ url: tako.url, numbers: USERS, request: request(tako), ...load });
  const cpuUs = (cpuOfAll(tako.apiWorkers) - before) / 1000 / result.answers;
  bench.check(`${name}: ${result.answers} answers, ${result.refused} refused`, result.refused === 0);
  return { ...result, tps, cpuUs, share: tps && result.per_s / tps };
}

/** Stamps, so that the leaderboard has an order to find. */
async function prepare(tako) {
  await tako.sql('update users set stamps_collected = (random() * 10)::int; analyze users');
}

async function countUsers(tako) {
  return Number(await tako.sql('select count(*) from users'));
}

export async function run(bench) {
  const env = { POOL_SIZE: String(POOL_SIZE), TAKO_RATE_POST: '0', TAKO_RATE_OTHER: '0' };
  const tako = await bench.tako({ users: USERS, env });
  await prepare(tako);
  const found = new Map(KINDS.map((kind) => [kind, []]));
  for (const [kind, results] of found) {
    await httpgen({ url: tako.url, connections: CONNECTIONS, seconds: 1, numbers: USERS, request: kind.request(tako) });
    for (let i = 0; i < ROUNDS; i++) results.push(await measure(bench, tako, kind));
  }
  bench.check('all registrations are rows', (await countUsers(tako)) > USERS);
  report(bench, found);
  const rss = Math.max(...tako.apiWorkers.map((pid) => memoryOf(pid).rss)) / 2 ** 20;
  bench.target('RSS of the largest API worker', rss, 'MB', { most: WORKER_MB });
}

function report(bench, found) {
  const rows = [['', 'answers/s', 'pgbench/s', 'of pgbench', 'p50', 'p99', 'CPU us in a worker']];
  for (const [{ name, leastOfPgbench, leastPerSecond }, results] of found) {
    const of = (key) => median(results.map((result) => result[key]));
    const perSecond = of('per_s');
    const [tps, share] = leastOfPgbench ? [Math.round(of('tps')), of('share').toFixed(2)] : ['', ''];
    const times = [of('p50_us'), of('p99_us')].map((us) => `${(us / 1000).toFixed(1)} ms`);
    rows.push([name, Math.round(perSecond), tps, share, ...times, of('cpuUs').toFixed(0)]);
    if (leastOfPgbench) bench.target(`${name}, of pgbench's`, of('share'), 'x', { least: leastOfPgbench });
    else bench.target(name, perSecond, '/s', { least: leastPerSecond });
  }
  bench.table(rows);
}
