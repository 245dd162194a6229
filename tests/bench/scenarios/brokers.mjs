// SPDX-License-Identifier: MIT
/*
 * Two brokers (one worker each) that meet in Redis: how much later does a message come to the other
 * broker's clients than to those of the broker where it was sent, and how much of the throughput
 * that one broker has alone is left to each when messages go over Redis?
 */
import { setTimeout as delay } from 'node:timers/promises';
import { median } from '../lib/bench.mjs';
import { cpuOf } from '../lib/process.mjs';

export const title = 'two brokers and Redis between them';

const CLIENTS = 1000; // per broker
const FEW = 10; // per broker, for latency: nobody waits for the fan-out
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const PER_SECOND = 1000;
const LATENCY_COUNT = 4000;
const SATURATED_COUNT = 1500;
const WINDOW = 32;
const ROOM = 'bench-brokers';

const ms = (us) => `${(us / 1000).toFixed(2)} ms`;

/* Both load generators count the same numbers, because one publishes and both receive. */
let nextNumber = 1;

async function publish(bench, what, [local, remote], plan) {
  const first = nextNumber;
  nextNumber += plan.count;
  await remote?.loadgen.expect({ first, count: plan.count });
  const before = [local, remote].map((side) => side && cpuOf(side.pid));
  const results = [await local.loadgen.publish({ ...plan, first }), await remote?.loadgen.expected()];
  const sides = [local, remote]
    .map((side, i) => side && { ...results[i], cpuUs: (cpuOf(side.pid) - before[i]) / 1000 })
    .filter(Boolean);
  for (const [i, side] of sides.entries())
    bench.checkDeliveries(`${what}, ${i === 0 ? 'same broker' : 'other broker'}`, side);
  return sides;
}

async function join(bench, side, count) {
  const before = (await side.loadgen.status()).joined;
  const { joined } = await side.loadgen.join({ count });
  bench.check(`${joined} clients joined on ${side.name}`, joined === before + count);
}

const perCpuSecond = (side) => side.deliveries / (side.cpuUs / 1e6);

async function measureLatency(bench, sides) {
  const plan = {
    count: LATENCY_COUNT,
    window: 0,
    interval_us: 1e6 / PER_SECOND,
  };
  const rounds = [];
  for (let i = 0; i < ROUNDS; i++)
    rounds.push(await publish(bench, `${PER_SECOND} messages per second`, sides, plan));
  const of = (side, key) => median(rounds.map((round) => round[side][key]));
  bench.table([
    [`${PER_SECOND} messages/s, ${FEW} clients each`, 'p50', 'p99'],
    ['same broker', ms(of(0, 'p50_us')), ms(of(0, 'p99_us'))],
    ['other broker', ms(of(1, 'p50_us')), ms(of(1, 'p99_us'))],
  ]);
  const added = median(rounds.map(([local, remote]) => remote.p99_us - local.p99_us)) / 1000;
  bench.target('added p99 at 1,000 messages/s', added, 'ms', { most: 2 });
}

export async function run(bench) {
  const tako = await bench.tako({
    brokers: 2,
    workers: 1,
    users: 2 * CLIENTS,
    env: { TAKO_PRESENCE_COUNTS_ONLY: 'room:*' }, // who is there is another scenario's subject
  });
  const side = async (i, name) => ({
    name,
    pid: tako.workers[i],
    loadgen: await bench.loadgen({
      url: tako.urls[i],
      clients: CLIENTS,
      first: i * CLIENTS,
      topic: `room:${ROOM}`,
    }),
  });
  const [one, two] = [await side(0, 'broker 1'), await side(1, 'broker 2')];
  for (const each of [one, two]) await join(bench, each, FEW);
  await delay(500);
  await measureLatency(bench, [one, two]);

  // Alone: broker 2 has members, but they are few; what goes over Redis is sent in either case.
  await join(bench, one, CLIENTS - FEW);
  const plan = { count: SATURATED_COUNT, window: WINDOW };
  const rounds = { alone: [], local: [], remote: [] };
  for (let i = 0; i < ROUNDS; i++)
    rounds.alone.push((await publish(bench, 'saturated, one broker', [one, two], plan))[0]);
  await join(bench, two, CLIENTS - FEW);
  for (let i = 0; i < ROUNDS; i++) {
    const [local, remote] = await publish(bench, 'saturated, two brokers', [one, two], plan);
    rounds.local.push(local);
    rounds.remote.push(remote);
  }
  const rate = Object.fromEntries(
    Object.entries(rounds).map(([name, results]) => [name, median(results.map(perCpuSecond))]),
  );
  bench.table([
    [`saturated, ${CLIENTS} clients each`, 'deliveries/CPU s', 'of one broker'],
    ...[
      ['one broker', rate.alone],
      ['two brokers: where it is sent', rate.local],
      ['two brokers: the other one', rate.remote],
    ].map(([what, value]) => [what, Math.round(value), (value / rate.alone).toFixed(2)]),
  ]);
  const least = Math.min(rate.local, rate.remote);
  bench.target('throughput of each of two brokers, of that of one', least / rate.alone, 'x', {
    least: 0.8,
  });
}
