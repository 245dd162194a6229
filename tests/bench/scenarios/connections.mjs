// SPDX-License-Identifier: MIT
/*
 * What an idle client costs: 19,000 joined to notifications on one worker. CLIENTS, RATE (joins per
 * second) and HOLD (seconds) change the numbers; the targets do not depend on them.
 */
import { becomes } from '../lib/bench.mjs';
import { cpuOf, memoryOf, openFilesOf } from '../lib/process.mjs';

export const title = 'memory and CPU per connected client, one worker';

const CLIENTS = Number(process.env.CLIENTS ?? 19_000);
const RATE = Number(process.env.RATE ?? 2500);
const HOLD_MS = Number(process.env.HOLD ?? 15) * 1000;
const HEARTBEAT_MS = 10_000;
const SETTLE_MS = 1000;
const USER_CACHE_MS = 10_000; // how long the broker remembers users
const GIVE_BACK_MS = 20_000;

const mb = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
const kbEach = (bytes) => (bytes / 1024 / CLIENTS).toFixed(2);
const usEach = (ns, count) => `${(ns / 1000 / count).toFixed(1)} us`;

export async function run(bench) {
  const tako = await bench.tako({
    workers: 1,
    users: CLIENTS,
    env: { TAKO_USER_CACHE_MS: String(USER_CACHE_MS) },
  });
  const [worker] = tako.workers;
  const loadgen = await bench.loadgen({
    url: tako.urls[0],
    clients: CLIENTS,
    heartbeatMs: HEARTBEAT_MS,
  });
  await loadgen.hold(SETTLE_MS);
  const idle = { ...memoryOf(worker), files: openFilesOf(worker), cpu: cpuOf(worker) };

  const join = await loadgen.join({ rate: RATE });
  const cpuJoined = cpuOf(worker);
  const joined = memoryOf(worker);

  const lone = await loadgen.publish({ count: 1 });
  const cpuBefore = cpuOf(worker);
  const before = await loadgen.status();
  const held = await loadgen.hold(HOLD_MS);
  const cpuHeld = cpuOf(worker) - cpuBefore;
  const heartbeats = held.heartbeats_answered - before.heartbeats_answered;
  const after = memoryOf(worker);

  await loadgen.stop();
  const areGone = await becomes(() => openFilesOf(worker) <= idle.files, 30_000);
  const gaveBack = await becomes(
    () => memoryOf(worker).anon - idle.anon < (joined.anon - idle.anon) / 2,
    USER_CACHE_MS + GIVE_BACK_MS,
  );
  const left = memoryOf(worker);

  const memoryRow = (what, { rss, anon }) => [
    what,
    mb(rss),
    mb(anon),
    kbEach(rss - idle.rss),
    kbEach(anon - idle.anon),
  ];
  bench.table([
    ['worker', 'RSS', 'anonymous', 'KB per client', 'of it anonymous'],
    ['before the first client', mb(idle.rss), mb(idle.anon), '', ''],
    memoryRow(`${CLIENTS} joined`, joined),
    memoryRow('after a broadcast and heartbeats', after),
    memoryRow('all clients gone', left),
  ]);
  bench.table([
    ['figure', 'value'],
    ['CPU of the worker per join', usEach(cpuJoined - idle.cpu, CLIENTS)],
    ['joins per second (asked for)', `${Math.round(CLIENTS / join.join_seconds)} (${RATE})`],
    ['time from connect to joined, p50', `${join.join_p50_us} us`],
    ['time from connect to joined, p99', `${join.join_p99_us} us`],
    ['CPU of the worker per heartbeat', usEach(cpuHeld, heartbeats)],
    ['one broadcast, first publish to last delivery', `${(lone.seconds * 1000).toFixed(1)} ms`],
  ]);
  const worst = Math.max(joined.rss, after.rss) - idle.rss;
  bench.check(`${join.joined} of ${CLIENTS} clients joined`, join.joined === CLIENTS);
  bench.checkDeliveries(`one broadcast to ${lone.receivers} clients`, lone);
  bench.check(
    `no client lost, ${heartbeats} heartbeats answered in ${HOLD_MS / 1000} s`,
    held.errors === 0 && heartbeats > 0,
  );
  bench.target('memory of a worker without clients', idle.rss / 2 ** 20, 'MB', { most: 6 });
  const perClient = worst / 1024 / CLIENTS;
  bench.target('memory per joined client', perClient, 'KB', { most: 2.5 });
  bench.target('memory per joined client, the aim', perClient, 'KB', { most: 1 });
  bench.check('the worker has closed all connections of the clients that left', areGone);
  bench.check('and has given back at least half of their memory', gaveBack);
}
