// SPDX-License-Identifier: MIT
/*
 * What a delivery costs, next to the floor (tests/bench/floor.c): single broadcasts with pauses in
 * between, and as many as fit. Both servers are up all the time and measured in turns, so that what
 * else the machine does hits both; each figure is the median of ROUNDS (3).
 */
import { median } from '../lib/bench.mjs';
import { cpuOf } from '../lib/process.mjs';

export const title = 'cost of a delivery, against a bare send() per member';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const SIZES = (process.env.SUBSCRIBERS ?? '1000,10000').split(',').map(Number);
const DELIVERIES = Number(process.env.DELIVERIES ?? 1_000_000); // per saturated measurement
const WINDOW = 32; // broadcasts on their way at a time, when saturated
const HEARTBEAT_MS = 50_000; // a full window for 10,000 may keep the floor busy for seconds

const manyOf = (members) => Math.max(4 * WINDOW, Math.round(DELIVERIES / members));

/* A pause is longer than the broadcast before it takes. */
const MODES = [
  {
    name: 'lone',
    plan: (members) => ({
      count: Math.max(20, Math.round(DELIVERIES / 5 / members)),
      window: 1,
      interval_us: 10_000 + members * 10,
    }),
  },
  {
    name: 'saturated',
    plan: (members) => ({ count: manyOf(members), window: WINDOW }),
  },
  {
    name: 'saturated, over Redis',
    isForTakoOnly: true,
    plan: (members) => ({ count: manyOf(members), window: WINDOW, via: 'redis' }),
  },
];

async function measure(server, plan) {
  const before = cpuOf(server.pid);
  const result = await server.loadgen.publish(plan);
  const cpuNs = cpuOf(server.pid) - before;
  return {
    ...result,
    cpuUs: cpuNs / 1000 / result.deliveries,
    perSecond: result.deliveries / result.seconds,
  };
}

const KEYS = ['cpuUs', 'perSecond', 'p50_us', 'p99_us'];
const LOSSES = ['missing', 'duplicates', 'out_of_order', 'strays'];

function combine(rounds) {
  const sum = (key) => rounds.reduce((total, round) => total + round[key], 0);
  return Object.fromEntries([
    ...KEYS.map((key) => [key, median(rounds.map((round) => round[key]))]),
    ...LOSSES.map((key) => [key, sum(key)]),
  ]);
}

/** [server, its median figures] for each server that the mode is for. */
async function compare(servers, mode, members) {
  const rounds = new Map(
    servers.filter(({ isTako }) => isTako || !mode.isForTakoOnly).map((server) => [server, []]),
  );
  for (let i = 0; i < ROUNDS; i++) {
    for (const [server, results] of rounds) results.push(await measure(server, mode.plan(members)));
  }
  return [...rounds].map(([server, results]) => [server, combine(results)]);
}

const thousands = (value) => `${Math.round(value / 1000)} k`;
const ms = (us) => `${(us / 1000).toFixed(1)} ms`;

function row(members, mode, server, result, floor) {
  return [
    `${members} x ${mode.name}`,
    server.name,
    result.cpuUs.toFixed(2),
    thousands(1e6 / result.cpuUs),
    floor ? (floor.cpuUs / result.cpuUs).toFixed(2) : '',
    thousands(result.perSecond),
    ms(result.p50_us),
    ms(result.p99_us),
  ];
}

/* A bare server that joins frames: 0.5 to 0.6 us. */
function setTargets(bench, members, mode, result, floor) {
  const what = `${members} subscribers, ${mode.name}`;
  if (mode.name === 'lone' && members >= 10_000)
    bench.target(`${what}: CPU of the floor's`, result.cpuUs / floor.cpuUs, 'x', { most: 1.15 });
  if (mode.name !== 'saturated') return;
  bench.target(`${what}: CPU per delivery`, result.cpuUs, 'us', { most: 0.8 });
  bench.target(`${what}: deliveries per s of one core`, 1e6 / result.cpuUs, '', { least: 1_200_000 });
}

async function startServers(bench) {
  const clients = Math.max(...SIZES);
  const floor = await bench.floor();
  const tako = await bench.tako({ workers: 1, users: clients });
  const [worker] = tako.workers;
  return [
    {
      name: 'floor',
      pid: floor.pid,
      loadgen: await bench.loadgen({ url: floor.url, clients, heartbeatMs: HEARTBEAT_MS }),
    },
    {
      name: 'tako',
      isTako: true,
      pid: worker,
      loadgen: await bench.loadgen({
        url: tako.urls[0],
        clients,
        heartbeatMs: HEARTBEAT_MS,
        redis: tako.redis,
      }),
    },
  ];
}

export async function run(bench) {
  const servers = await startServers(bench);
  const rows = [
    [
      'subscribers x publisher',
      'server',
      'CPU us/delivery',
      'deliveries/CPU s',
      'of floor',
      'deliveries/s',
      'p50',
      'p99',
    ],
  ];
  let members = 0;
  for (const size of SIZES) {
    for (const { name, loadgen } of servers) {
      const { joined } = await loadgen.join({ count: size - members });
      bench.check(`${joined} of ${size} clients joined on ${name}`, joined === size);
    }
    members = size;
    for (const mode of MODES) {
      const results = await compare(servers, mode, members);
      const [, floorResult] = results.find(([server]) => !server.isTako) ?? [];
      for (const [server, result] of results) {
        rows.push(row(members, mode, server, result, floorResult));
        bench.checkDeliveries(`${members} x ${mode.name}, ${server.name}`, result);
        if (server.isTako) setTargets(bench, members, mode, result, floorResult);
      }
    }
  }
  bench.table(rows);
}
