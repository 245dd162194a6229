// SPDX-License-Identifier: MIT
/*
 * Large rooms with presence on one worker: 2,000 clients who join at once, 10,000 of whom some come
 * and go all the time, and what a newcomer to a room of 19,000 costs everybody else. Phoenix, on such
 * a machine, needed 28 s of CPU and 3.9 GB for the first.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { run as runProgram } from '../../support/proc.mjs';
import { cpuOf, memoryOf, peakMemoryOf } from '../lib/process.mjs';

export const title = 'large rooms with presence, one worker';

const CROWD = Number(process.env.CROWD ?? 2000);
const MEMBERS = Number(process.env.MEMBERS ?? 10_000);
const CHURN = Number(process.env.CHURN ?? 50); // joins, and leaves, per second
const CHURN_MS = Number(process.env.CHURN_MS ?? 10_000);
const STRANGERS = 18_780; // members on another broker
const NEIGHBOURS = 200; // and on this one
const NEWCOMERS = 20;
const PROBE_MS = 5000;

const seconds = (ns) => `${(ns / 1e9).toFixed(2)} s`;
const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
const ms = (us) => `${(us / 1000).toFixed(1)} ms`;

async function measureCrowd(bench) {
  const tako = await bench.tako({ users: CROWD });
  const [worker] = tako.workers;
  const loadgen = await bench.loadgen({ url: tako.urls[0], clients: CROWD, topic: 'room:all', joinLimitMs: 60_000 });
  const before = cpuOf(worker);
  const idle = memoryOf(worker).rss;
  const joined = await loadgen.join({ rate: 1_000_000, at_once: CROWD });
  const views = await loadgen.views({ refs: CROWD });
  const cpu = cpuOf(worker) - before;
  const peak = peakMemoryOf(worker);
  bench.check(`${views.agree} of ${CROWD} clients have the right list`, views.agree === CROWD);
  bench.table([
    [`${CROWD} join one room at once`, 'tako', 'Phoenix (28 s, 3.9 GB)'],
    ['CPU of the worker', seconds(cpu), `${(28e9 / cpu).toFixed(0)} x less`],
    ['memory, highest', megabytes(peak), `${((3.9 * 2 ** 30) / peak).toFixed(0)} x less`],
    ['memory of the idle worker', megabytes(idle), ''],
    ['all have joined after', `${joined.join_seconds.toFixed(2)} s`, ''],
    ['all have the right list after', `${(joined.join_seconds + views.seconds).toFixed(2)} s`, ''],
  ]);
  bench.target(`CPU for ${CROWD} joins of one room`, cpu / 1e9, 's', { most: 1 });
  bench.target(`memory for ${CROWD} in one room`, peak / 2 ** 20, 'MB', { most: 60 });
  await bench.stop();
}

async function measureChurn(bench) {
  const tako = await bench.tako({ users: MEMBERS });
  const [worker] = tako.workers;
  const loadgen = await bench.loadgen({ url: tako.urls[0], clients: MEMBERS, topic: 'room:all', joinLimitMs: 60_000 });
  await loadgen.join({ rate: 1000 });
  const views = await loadgen.views({ refs: MEMBERS, patience_ms: 120_000 });
  bench.check(`${views.agree} of ${MEMBERS} clients have the right list`, views.agree === MEMBERS);
  const [start, before] = [performance.now(), cpuOf(worker)];
  const churn = await loadgen.churn({ rate: CHURN, ms: CHURN_MS });
  const cores = (cpuOf(worker) - before) / 1e6 / (performance.now() - start);
  const after = await loadgen.views({ refs: MEMBERS });
  bench.check(`${after.agree} have the right list after ${churn.joins} joins and leaves`, after.agree === MEMBERS);
  bench.table([
    [`${MEMBERS} in one room, ${CHURN} joins and ${CHURN} leaves/s`, ''],
    ['CPU of the worker', `${cores.toFixed(2)} cores`],
    ['diffs that came to clients', churn.diffs],
    ['from a join to its diff, p50', ms(churn.p50_us)],
    ['p99', ms(churn.p99_us)],
    ['longest', ms(churn.max_us)],
  ]);
  bench.target(`CPU while ${CHURN} of ${MEMBERS} come and go each second`, cores, 'cores', { most: 1 });
  bench.target('p99 from a join to its diff', churn.p99_us / 1000, 'ms', { most: 500 });
  await bench.stop();
}

/** Members of another broker, which is only pretended: what it would have written into Redis. */
async function pretendStrangers(tako, topic) {
  const node = 'elsewhere/0@bench';
  const lines = [`HSET tako:node:${node} floor 0`, `HSET tako:presence-seqs:${topic} ${node} 1`];
  for (let i = 0; i < STRANGERS; i++) {
    const ref = `BENCH${String(i).padStart(11, '0')}`;
    const meta = `{"phx_ref":"${ref}","nickname":"Bench_${i}","online_at":1795345981}`;
    lines.push(`HSET tako:presence:${topic} '${node}|${ref}' '[1,"${ref}","${ref}-stranger",1,0,${meta}]'`);
  }
  const socket = new URL(tako.redis).pathname;
  const { code, stderr } = await runProgram('redis-cli', ['-s', socket], { input: lines.join('\n') });
  if (code !== 0) throw new Error(`redis-cli: ${stderr}`);
}

/** How long others wait for a broadcast at most while `fn` goes on. */
async function longestWait(probe, fn) {
  const [result] = await Promise.all([probe.publish({ count: PROBE_MS, window: 1, interval_us: 1000 }), fn()]);
  return result;
}

/** Newcomers one by one; returns how much `cost` has grown at most from one to the next. */
async function letIn(loadgen, count, cost = () => 0) {
  let most = 0;
  for (let i = 0; i < count; i++) {
    const before = cost();
    await loadgen.join({ count: 1 });
    await delay(200); // its diff is told
    most = Math.max(most, cost() - before);
  }
  return most;
}

async function measureNewcomers(bench) {
  const topic = 'room:all';
  const clients = NEIGHBOURS + NEWCOMERS;
  const tako = await bench.tako({ users: clients + 2 });
  await pretendStrangers(tako, topic);
  const [url] = tako.urls;
  const loadgen = await bench.loadgen({ url, clients, topic, joinLimitMs: 60_000 });
  const probe = await bench.loadgen({ url, clients: 2, first: clients });
  await loadgen.join({ count: NEIGHBOURS, rate: 500 });
  await loadgen.views({ refs: STRANGERS + NEIGHBOURS, patience_ms: 120_000 });
  await probe.join();
  const quiet = await longestWait(probe, () => delay(PROBE_MS));
  const busy = await longestWait(probe, () => letIn(loadgen, NEWCOMERS / 2));
  const [worker] = tako.workers;
  const cpu = await letIn(loadgen, NEWCOMERS / 2, () => cpuOf(worker));
  const total = STRANGERS + clients;
  const views = await loadgen.views({ refs: total });
  bench.check(`${views.agree} of ${clients} clients have the right list of ${total}`, views.agree === clients);
  bench.table([
    [`a room of ${total}: a broadcast elsewhere takes`, 'p50', 'p99', 'longest'],
    ['while nobody comes', ms(quiet.p50_us), ms(quiet.p99_us), ms(quiet.max_us)],
    [`while ${NEWCOMERS / 2} come one by one`, ms(busy.p50_us), ms(busy.p99_us), ms(busy.max_us)],
  ]);
  // No turn of the loop can have been longer than all that the worker did.
  const what = `CPU for a newcomer among ${total}, his state and ${NEIGHBOURS} diffs`;
  bench.target(what, cpu / 1e6, 'ms', { most: 10 });
  bench.target(`longest wait of others while somebody joins ${total}`, busy.max_us / 1000, 'ms', { most: 10 });
  await bench.stop();
}

export async function run(bench) {
  await measureCrowd(bench);
  await measureChurn(bench);
  await measureNewcomers(bench);
}
