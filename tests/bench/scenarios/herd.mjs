// SPDX-License-Identifier: MIT
/*
 * A thundering herd (C166, C167): the only worker is killed with 15,000 clients on it. All come back
 * after the delays of phoenix.js, without jitter, to a worker that knows none of them. How long until
 * all are joined again, and how far does everything that can queue fill up?
 */
import { setTimeout as delay } from 'node:timers/promises';
import { median } from '../lib/bench.mjs';
import { cpuOf, listenOverflows, peakMemoryOf } from '../lib/process.mjs';

export const title = '15,000 clients dropped at once come back';

const CLIENTS = Number(process.env.CLIENTS ?? 15_000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const PATIENCE_MS = 60_000;
const ENTRY_MS = 20_000; // until a worker has written what it counted

/* TAKO_MAX_QUEUED_BYTES, worker.c's limit for Redis, and TAKO_MAX_CONNECTIONS twice. */
const LIMITS = { queue_peak: 1_048_576, redis_peak: 67_108_864, handshakes_peak: 20_000, lookups_peak: 20_000 };

/** What the worker says of itself once it counts all clients. */
async function entryOf(tako, pid) {
  for (const deadline = Date.now() + ENTRY_MS; ; await delay(200)) {
    const node = (await tako.nodes()).find((each) => each.pid === pid && each.connections === CLIENTS);
    if (node) return node;
    if (Date.now() > deadline) throw new Error(`worker ${pid} does not show ${CLIENTS} connections`);
  }
}

async function measure(bench, tako, loadgen) {
  const [killed] = tako.workers;
  const overflows = listenOverflows();
  await loadgen.beginReturn();
  process.kill(killed, 'SIGKILL');
  const back = await loadgen.returned({ lost: CLIENTS, patience_ms: PATIENCE_MS });
  const [worker] = tako.workers;
  const result = { ...back, cpu: cpuOf(worker), overflows: listenOverflows() - overflows };
  bench.check(`${back.returned} of ${back.lost} dropped clients are joined again`, back.returned === CLIENTS);
  const node = await entryOf(tako, worker);
  for (const [name, limit] of Object.entries(LIMITS)) {
    bench.check(`${name} ${node[name]} is within ${limit}`, node[name] <= limit);
  }
  bench.check(`${node.refused} upgrades were refused`, node.refused === 0);
  bench.checkDeliveries('a broadcast afterwards', await loadgen.publish({ count: 1 }));
  return { ...result, ...node, memory: peakMemoryOf(worker) };
}

export async function run(bench) {
  const tako = await bench.tako({ workers: 1, users: CLIENTS });
  const loadgen = await bench.loadgen({ url: tako.urls[0], clients: CLIENTS, comesBack: 1 });
  const { joined } = await loadgen.join();
  bench.check(`${joined} of ${CLIENTS} clients joined`, joined === CLIENTS);
  const results = [];
  for (let i = 0; i < ROUNDS; i++) results.push(await measure(bench, tako, loadgen));

  const of = (key) => median(results.map((result) => result[key]));
  const ms = (us) => `${(us / 1000).toFixed(0)} ms`;
  bench.table([
    [`${CLIENTS} clients come back, median of ${ROUNDS}`, 'value'],
    ['until all are joined again', `${of('seconds').toFixed(2)} s`],
    ['a client is away, p50', ms(of('p50_us'))],
    ['a client is away, p99', ms(of('p99_us'))],
    ['connects per client', (of('attempts') / CLIENTS).toFixed(1)],
    ['CPU of the new worker', `${(of('cpu') / 1e9).toFixed(2)} s`],
    ['statements to PostgreSQL', of('statements')],
    ['peak of handshakes at a time', of('handshakes_peak')],
    ['peak of user lookups that wait', of('lookups_peak')],
    ['peak of bytes waiting for one client', of('queue_peak')],
    ['peak of bytes waiting for Redis', of('redis_peak')],
    ['peak memory of the worker', `${(of('memory') / 2 ** 20).toFixed(1)} MB`],
    ['connects that the full listen queue dropped', of('overflows')],
  ]);
  bench.target(`until ${CLIENTS} dropped clients are joined again`, of('seconds'), 's', { most: 10 });
  bench.target('statements to PostgreSQL, per client', of('statements') / CLIENTS, '', { most: 0.1 });
}
