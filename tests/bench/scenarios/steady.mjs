// SPDX-License-Identifier: MIT
/*
 * A steady stream, 10 messages per second to 10,000 subscribers, at tako and at the floor in turns:
 * how late do messages come? Then the same while 50 more subscribers read 1 KB per second, which is
 * a tenth of what is sent to them: nobody else may notice.
 */
import { median } from '../lib/bench.mjs';
import { cpuOf } from '../lib/process.mjs';

export const title = '10 messages per second to 10,000 subscribers, and slow readers among them';

const CLIENTS = Number(process.env.CLIENTS ?? 10_000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const PER_SECOND = Number(process.env.PER_SECOND ?? 10);
const SECONDS = Number(process.env.SECONDS ?? 8);
const SLOW = 50;
const SLOW_BYTES_PER_S = 1024;
const SIZE = 1000;
const FILL = 150; // messages
const HEARTBEAT_MS = 50_000;

// Without a window: messages are sent when due, and late ones count from then.
const PLAN = {
  count: SECONDS * PER_SECOND,
  window: 0,
  interval_us: Math.round(1e6 / PER_SECOND),
  size: SIZE,
};

const ms = (us) => `${(us / 1000).toFixed(1)} ms`;

async function measure(bench, server, what) {
  const before = cpuOf(server.pid);
  const result = await server.loadgen.publish(PLAN);
  const busy = (cpuOf(server.pid) - before) / 1e9 / result.seconds;
  bench.checkDeliveries(`${what}, round of ${PLAN.count} messages`, result);
  return { ...result, busy };
}

/* They join, and what the kernel holds for them is filled up, so that the broker has to queue. */
async function addSlowReaders(bench, tako, others) {
  const slow = await bench.loadgen({
    url: tako.urls[0],
    clients: SLOW,
    first: CLIENTS,
    heartbeatMs: HEARTBEAT_MS,
    readBytesPerS: SLOW_BYTES_PER_S,
  });
  const { joined } = await slow.join();
  bench.check(`${joined} of ${SLOW} slow readers joined`, joined === SLOW);
  bench.checkDeliveries('filling buffers', await others.publish({ count: FILL, window: 8, size: SIZE }));
  return slow;
}

async function checkSlowReaders(bench, slow) {
  const { joined } = await slow.status();
  bench.check(`${joined} of ${SLOW} slow readers are still there`, joined === SLOW);
  await slow.stop();
}

function row(what, results) {
  const of = (key) => median(results.map((result) => result[key]));
  return [what, ms(of('p50_us')), ms(of('p90_us')), ms(of('p99_us')), `${Math.round(of('busy') * 100)} %`];
}

export async function run(bench) {
  const floor = await bench.floor();
  const tako = await bench.tako({ workers: 1, users: CLIENTS + SLOW });
  const [worker] = tako.workers;
  const options = { clients: CLIENTS, heartbeatMs: HEARTBEAT_MS };
  const servers = {
    floor: { pid: floor.pid, loadgen: await bench.loadgen({ url: floor.url, ...options }) },
    tako: { pid: worker, loadgen: await bench.loadgen({ url: tako.urls[0], ...options }) },
  };
  for (const [name, { loadgen }] of Object.entries(servers)) {
    const { joined } = await loadgen.join();
    bench.check(`${joined} of ${CLIENTS} clients joined on ${name}`, joined === CLIENTS);
  }
  const found = { floor: [], tako: [], slow: [] };
  for (let i = 0; i < ROUNDS; i++) {
    found.floor.push(await measure(bench, servers.floor, 'floor'));
    found.tako.push(await measure(bench, servers.tako, 'tako'));
    const slow = await addSlowReaders(bench, tako, servers.tako.loadgen);
    found.slow.push(await measure(bench, servers.tako, 'tako with slow readers'));
    await checkSlowReaders(bench, slow);
  }
  bench.table([
    ['server', 'p50', 'p90', 'p99', 'CPU'],
    row('floor', found.floor),
    row('tako', found.tako),
    row(`tako, ${SLOW} slow readers`, found.slow),
  ]);
  const p99 = (results) => median(results.map((result) => result.p99_us));
  bench.target("p99 of the floor's", p99(found.tako) / p99(found.floor), 'x', { most: 1.5 });
  bench.target('p99 with 50 slow readers, of that without', p99(found.slow) / p99(found.tako), 'x', {
    most: 1.1,
  });
}
