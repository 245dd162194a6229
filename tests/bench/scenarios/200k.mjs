// SPDX-License-Identifier: MIT
/*
 * 200,000 clients on one machine, over as many workers and load generators as the limit of open
 * files asks for. Takes some minutes and some 4 GB, so `make bench` leaves it out.
 *
 *   CLIENTS, WORKERS, PER_WORKER, RATE (joins per second), HOLD (seconds)
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { childrenOf } from '../../support/proc.mjs';
import { cpuOfAll, kernelMemory, sharedMemoryOf } from '../lib/process.mjs';

export const title = '200,000 clients at once on one machine';

const CLIENTS = Number(process.env.CLIENTS ?? 200_000);
const PER_PROCESS = Number(process.env.PER_WORKER ?? 18_200); // the kernel spreads within some 2 %
const WORKERS = Number(process.env.WORKERS ?? Math.ceil(CLIENTS / PER_PROCESS));
const RATE = Number(process.env.RATE ?? 2500);
const HOLD_MS = Number(process.env.HOLD ?? 60) * 1000;
const HEARTBEAT_MS = 60_000;
const SETTLE_MS = 5000;

const mb = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MB`;
const kbEach = (bytes) => (bytes / 1024 / CLIENTS).toFixed(2);

function openFileLimit() {
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);
}

/* Memory of each part, without what the load generators use for themselves. */
function memoryByPart(tako) {
  const postgres = [tako.postgresPid, ...childrenOf(tako.postgresPid)];
  const { slab, buffers } = kernelMemory();
  return {
    'broker workers': sharedMemoryOf(tako.workers),
    Redis: sharedMemoryOf([tako.redisPid]),
    PostgreSQL: sharedMemoryOf(postgres),
    'kernel, both ends of each connection': slab + buffers,
  };
}

async function startLoadgens(bench, tako) {
  const loadgens = [];
  for (let first = 0; first < CLIENTS; first += PER_PROCESS)
    loadgens.push(
      await bench.loadgen({
        url: tako.urls[0],
        clients: Math.min(PER_PROCESS, CLIENTS - first),
        first,
        heartbeatMs: HEARTBEAT_MS,
        joinLimitMs: 30_000,
      }),
    );
  return loadgens;
}

/* One after the other, so that together they keep to RATE. */
async function joinAll(loadgens) {
  const start = performance.now();
  let joined = 0;
  for (const loadgen of loadgens) joined += (await loadgen.join({ rate: RATE })).joined;
  return { joined, seconds: (performance.now() - start) / 1000 };
}

const sum = (list, key) => list.reduce((total, each) => total + each[key], 0);

async function broadcast(bench, loadgens) {
  const [publisher, ...others] = loadgens;
  const plan = { first: 1, count: 1, patience_ms: 30_000 };
  for (const loadgen of others) await loadgen.expect(plan);
  const results = [await publisher.publish(plan)];
  for (const loadgen of others) results.push(await loadgen.expected());
  for (const [i, result] of results.entries())
    bench.checkDeliveries(`broadcast, load generator ${i + 1}`, result);
  return {
    deliveries: sum(results, 'deliveries'),
    last: Math.max(...results.map((result) => result.max_us)) / 1000,
  };
}

async function holdAll(tako, loadgens) {
  const status = async () => {
    const all = [];
    for (const loadgen of loadgens) all.push(await loadgen.status());
    return { answered: sum(all, 'heartbeats_answered'), errors: sum(all, 'errors') };
  };
  const before = await status();
  const [cpu, start] = [cpuOfAll(tako.workers), performance.now()];
  await Promise.all(loadgens.map((loadgen) => loadgen.hold(HOLD_MS)));
  const share = (cpuOfAll(tako.workers) - cpu) / 1e6 / (performance.now() - start);
  const after = await status();
  return { share, heartbeats: after.answered - before.answered, errors: after.errors };
}

export async function run(bench) {
  const limit = openFileLimit();
  bench.check(`${limit} open files per process, ${PER_PROCESS} clients`, limit > PER_PROCESS * 1.05);
  const tako = await bench.tako({ workers: WORKERS, users: CLIENTS, env: { TAKO_DRAIN_MS: '2000' } });
  const loadgens = await startLoadgens(bench, tako);
  await delay(SETTLE_MS);
  const empty = memoryByPart(tako);
  const { joined, seconds } = await joinAll(loadgens);
  bench.check(`${joined} of ${CLIENTS} clients joined`, joined === CLIENTS);
  const full = memoryByPart(tako);
  const held = await holdAll(tako, loadgens);
  bench.check(
    `no client lost, ${held.heartbeats} heartbeats answered in ${HOLD_MS / 1000} s`,
    held.errors === 0 && held.heartbeats > 0,
  );
  const { deliveries, last } = await broadcast(bench, loadgens);
  const afterwards = memoryByPart(tako);

  bench.table([
    ['memory', 'before', 'joined', 'after a broadcast', 'KB per client'],
    ...Object.keys(full).map((part) => [
      part,
      mb(empty[part]),
      mb(full[part]),
      mb(afterwards[part]),
      kbEach(afterwards[part] - empty[part]),
    ]),
  ]);
  bench.table([
    ['figure', 'value'],
    ['workers', tako.workers.length],
    ['load generators', loadgens.length],
    ['joins per second (asked for)', `${Math.round(joined / seconds)} (${RATE})`],
    [`heartbeats in ${HOLD_MS / 1000} s`, held.heartbeats],
    ['CPU of all workers meanwhile, of one core', `${(held.share * 100).toFixed(1)} %`],
    ['one broadcast reached', `${deliveries} clients`],
    ['the last one after', `${last.toFixed(0)} ms`],
  ]);
  bench.target('clients joined at once', joined, '', { least: CLIENTS });
  bench.target('clients that one broadcast reached', deliveries, '', { least: CLIENTS });
  bench.target('idle CPU of all workers, heartbeats every 60 s', held.share * 100, '% of a core', {
    most: 10,
  });
}
