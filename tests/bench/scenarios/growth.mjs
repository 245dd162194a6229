// SPDX-License-Identifier: MIT
/*
 * Does the cost per client stay the same as there are more of them, or more workers? CPU per join,
 * per delivery of a lone broadcast, and per minute of doing nothing but answering one heartbeat
 * per client.
 */
import { cpuOfAll, memoryOf } from '../lib/process.mjs';

export const title = 'cost per client as clients and workers grow';

const SIZES = (process.env.SIZES ?? '1000,5000,10000,19000').split(',').map(Number);
const WORKERS = (process.env.WORKER_COUNTS ?? '1,2,4').split(',').map(Number);
const CLIENTS = Number(process.env.CLIENTS ?? 10_000); // over each number of workers
const RATE = 2500;
const HOLD_MS = 10_000; // in which every client sends one heartbeat
const MINUTE_MS = 60_000;
const ALLOWED_GROWTH = 1.25;

const broadcastPlan = (clients) => ({
  count: Math.max(20, Math.round(100_000 / clients)),
  window: 1,
  interval_us: 10_000 + clients * 10,
});

/* An idle minute has one heartbeat per client: HOLD_MS has them all, the rest of it is like a
 * worker without clients. */
async function measureStep(bench, { tako, loadgen, emptyPerMs }, clients, already) {
  const cpu = () => cpuOfAll(tako.workers);
  const before = cpu();
  const { joined } = await loadgen.join({ count: clients - already, rate: RATE });
  const joins = cpu() - before;
  bench.check(`${joined} of ${clients} clients joined`, joined === clients);
  const beforeHold = [cpu(), (await loadgen.status()).heartbeats_answered];
  const held = await loadgen.hold(HOLD_MS);
  const holdCpu = cpu() - beforeHold[0];
  const heartbeats = held.heartbeats_answered - beforeHold[1];
  bench.check(`${heartbeats} heartbeats answered, no client lost`, heartbeats > 0 && held.errors === 0);
  const beforePublish = cpu();
  const result = await loadgen.publish(broadcastPlan(clients));
  const published = cpu() - beforePublish;
  bench.checkDeliveries(`broadcasts to ${clients} clients`, result);
  const perHeartbeat = (holdCpu - emptyPerMs * HOLD_MS) / heartbeats;
  return {
    join: joins / 1000 / (clients - already),
    delivery: published / 1000 / result.deliveries,
    minute: (perHeartbeat * clients + emptyPerMs * MINUTE_MS) / 1e6,
  };
}

async function start(bench, workers, clients) {
  const tako = await bench.tako({ workers, users: clients });
  const loadgen = await bench.loadgen({ url: tako.urls[0], clients, heartbeatMs: HOLD_MS });
  await loadgen.hold(1000);
  const before = cpuOfAll(tako.workers);
  await loadgen.hold(3000);
  return { tako, loadgen, emptyPerMs: (cpuOfAll(tako.workers) - before) / 3000 };
}

const row = (what, rss, { join, delivery, minute }) => [
  what,
  join.toFixed(1),
  delivery.toFixed(2),
  `${minute.toFixed(0)} ms`,
  `${(minute / 600).toFixed(2)} %`,
  `${(rss / 2 ** 20).toFixed(1)} MB`,
];

const rssOf = ({ workers }) => workers.reduce((sum, pid) => sum + memoryOf(pid).rss, 0);

export async function run(bench) {
  const head = ['CPU us/join', 'us/delivery', 'CPU of an idle minute', 'of a core', 'RSS'];
  const bySize = [];
  const rows = [['clients, one worker', ...head]];
  const stack = await start(bench, 1, Math.max(...SIZES));
  let already = 0;
  for (const clients of SIZES) {
    const figures = await measureStep(bench, stack, clients, already);
    bySize.push({ clients, ...figures });
    rows.push(row(clients, rssOf(stack.tako), figures));
    already = clients;
  }
  bench.table(rows);
  await bench.stop();

  const workerRows = [[`workers, ${CLIENTS} clients`, ...head]];
  for (const workers of WORKERS) {
    const some = await start(bench, workers, CLIENTS);
    const figures = await measureStep(bench, some, CLIENTS, 0);
    workerRows.push(row(workers, rssOf(some.tako), figures));
    await bench.stop();
  }
  bench.table(workerRows);

  // From 5,000 on, because a fifth of that fits into the processor's caches.
  const [least, most] = [bySize[1] ?? bySize[0], bySize.at(-1)];
  for (const [key, what] of [['join', 'join'], ['delivery', 'delivery']])
    bench.target(
      `CPU per ${what} with ${most.clients} clients, of that with ${least.clients}`,
      most[key] / least[key],
      'x',
      { most: ALLOWED_GROWTH },
    );
}
