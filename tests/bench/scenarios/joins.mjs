// SPDX-License-Identifier: MIT
/*
 * A crowd that comes at once: 15,000 clients, as fast as they get in, each user looked up in
 * PostgreSQL. Every round has a fresh broker, because one that has seen the users remembers them.
 * The load generator, PostgreSQL and Redis run on the same cores.
 */
import { median } from '../lib/bench.mjs';
import { cpuOf, cpuOfAll } from '../lib/process.mjs';

export const title = '15,000 clients who join at once';

const CLIENTS = Number(process.env.CLIENTS ?? 15_000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const AT_ONCE = 500;
const WORKERS = [1, 2];

async function measure(bench, workers) {
  const tako = await bench.tako({ workers, users: CLIENTS });
  const loadgen = await bench.loadgen({ url: tako.urls[0], clients: CLIENTS });
  const before = cpuOfAll(tako.workers);
  const ownBefore = cpuOf(loadgen.pid);
  const join = await loadgen.join({ rate: 1_000_000, at_once: AT_ONCE });
  const cpuUs = (cpuOfAll(tako.workers) - before) / 1000 / CLIENTS;
  const ownUs = (cpuOf(loadgen.pid) - ownBefore) / 1000 / CLIENTS;
  bench.check(`${join.joined} of ${CLIENTS} clients joined, workers: ${workers}`, join.joined === CLIENTS);
  await bench.stop();
  return { ...join, cpuUs, ownUs };
}

export async function run(bench) {
  const rounds = new Map(WORKERS.map((workers) => [workers, []]));
  for (let i = 0; i < ROUNDS; i++)
    for (const [workers, results] of rounds) results.push(await measure(bench, workers));
  const figures = [...rounds].map(([workers, results]) => {
    const of = (key) => median(results.map((result) => result[key]));
    return {
      workers,
      seconds: of('join_seconds'),
      cpuUs: of('cpuUs'),
      ownUs: of('ownUs'),
      p50: of('join_p50_us'),
      p99: of('join_p99_us'),
    };
  });
  bench.table([
    ['workers', 'seconds', 'joins/s', 'CPU us/join', 'load generator', 'p50', 'p99'],
    ...figures.map(({ workers, seconds, cpuUs, ownUs, p50, p99 }) => [
      workers,
      seconds.toFixed(2),
      Math.round(CLIENTS / seconds),
      cpuUs.toFixed(1),
      `${ownUs.toFixed(1)} us`,
      `${(p50 / 1000).toFixed(0)} ms`,
      `${(p99 / 1000).toFixed(0)} ms`,
    ]),
  ]);
  const [one] = figures;
  bench.target('broker CPU per join, user from PostgreSQL', one.cpuUs, 'us', { most: 60 });
  const best = Math.min(...figures.map(({ seconds }) => seconds));
  bench.target(`time for ${CLIENTS} joins`, best, 's', { most: 4 });
}
