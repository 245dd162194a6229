// SPDX-License-Identifier: MIT
/*
 * 500 hostile clients (tests/support/hostile.mjs: requests that never end, a byte a second, members
 * that never read) beside 500 good ones, in turns with the good ones alone: what do the good ones
 * notice? What the kernel keeps for the members that never read is filled up first, so that the
 * broker has to queue for them while it is measured.
 */
import { dismissHostile, gatherHostile } from '../../support/hostile.mjs';
import { median } from '../lib/bench.mjs';
import { cpuOf } from '../lib/process.mjs';

export const title = '500 hostile clients beside 500 good ones';

const CLIENTS = Number(process.env.CLIENTS ?? 500);
const HOSTILE = Number(process.env.HOSTILE ?? 500);
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const PER_SECOND = Number(process.env.PER_SECOND ?? 100);
const SECONDS = Number(process.env.SECONDS ?? 5);
const SIZE = 1000;
const FILL = 400; // messages; with those measured less than TAKO_MAX_QUEUED_BYTES
const TOKEN = '00000000-0000-4000-8000-000000000000';

// Without a window: messages are sent when due, and late ones count from then.
const PLAN = {
  count: SECONDS * PER_SECOND,
  window: 0,
  interval_us: Math.round(1e6 / PER_SECOND),
  size: SIZE,
};

const ms = (us) => `${(us / 1000).toFixed(2)} ms`;

async function measure(bench, { worker, loadgen }, what) {
  const before = cpuOf(worker);
  const result = await loadgen.publish(PLAN);
  const busy = (cpuOf(worker) - before) / 1e9 / result.seconds;
  bench.checkDeliveries(`${what}, round of ${PLAN.count} messages`, result);
  return { ...result, busy };
}

async function measureBesideHostile(bench, server) {
  const hostile = await gatherHostile(server.port, HOSTILE, { token: TOKEN });
  try {
    bench.checkDeliveries('filling buffers', await server.loadgen.publish({ count: FILL, window: 8, size: SIZE }));
    const result = await measure(bench, server, 'beside hostile clients');
    const gone = hostile.filter(({ raw }) => raw.hasEnded).length;
    bench.check(`${gone} of ${HOSTILE} hostile clients have gone meanwhile`, gone === 0);
    return result;
  } finally {
    dismissHostile(hostile);
  }
}

function row(what, results) {
  const of = (key) => median(results.map((result) => result[key]));
  return [what, ms(of('p50_us')), ms(of('p90_us')), ms(of('p99_us')), `${Math.round(of('busy') * 100)} %`];
}

export async function run(bench) {
  const env = { TAKO_HANDSHAKE_TIMEOUT_MS: '600000' };
  const tako = await bench.tako({ workers: 1, users: CLIENTS, env });
  const [worker] = tako.workers;
  const loadgen = await bench.loadgen({ url: tako.urls[0], clients: CLIENTS });
  const server = { worker, loadgen, port: Number(new URL(tako.urls[0]).port) };
  const { joined } = await loadgen.join();
  bench.check(`${joined} of ${CLIENTS} clients joined`, joined === CLIENTS);

  await measure(bench, server, 'warming up');
  const found = { quiet: [], hostile: [] };
  for (let i = 0; i < ROUNDS; i++) {
    found.quiet.push(await measure(bench, server, 'quiet'));
    found.hostile.push(await measureBesideHostile(bench, server));
  }
  bench.table([
    [`${CLIENTS} clients, ${PER_SECOND} messages/s`, 'p50', 'p90', 'p99', 'CPU'],
    row('alone', found.quiet),
    row(`beside ${HOSTILE} hostile ones`, found.hostile),
  ]);
  const ratio = (key) => median(found.hostile.map((result, i) => result[key] / found.quiet[i][key]));
  bench.target('p50 beside hostile clients, of that without', ratio('p50_us'), 'x', { most: 1.1 });
  bench.target('p99 beside hostile clients, of that without', ratio('p99_us'), 'x', { most: 1.1 });
}
