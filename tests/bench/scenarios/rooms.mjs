// SPDX-License-Identifier: MIT
/*
 * Rooms in which everybody talks: as many messages are on their way as there are clients, and all
 * clients take turns to send one. The number of rooms must not matter, the number of members does;
 * rows with 2 members reach more rooms than ten to a room would allow in one process.
 */
import { cpuOf } from '../lib/process.mjs';

export const title = 'rooms whose members all talk, one worker';

const DELIVERIES = Number(process.env.DELIVERIES ?? 1_000_000); // per row
const RATE = 2500; // joins per second
const ROWS = [
  { rooms: 10, members: 10 },
  { rooms: 100, members: 10 },
  { rooms: 1000, members: 10, isTarget: true },
  { rooms: 10, members: 2 },
  { rooms: 100, members: 2 },
  { rooms: 1000, members: 2 },
  { rooms: 9500, members: 2 },
];
const ALLOWED_GROWTH = 1.5; // between the fewest rooms and the most, with equally many members

async function measure(bench, tako, { rooms, members }) {
  const [worker] = tako.workers;
  const clients = rooms * members;
  const loadgen = await bench.loadgen({ url: tako.urls[0], clients, topic: 'room:', rooms });
  const { joined } = await loadgen.join({ rate: RATE });
  bench.check(`${joined} of ${clients} clients joined ${rooms} rooms`, joined === clients);
  const plan = { room: 'every', window: clients };
  await loadgen.publish({ ...plan, count: rooms }); // warm up: every room once
  const before = cpuOf(worker);
  const count = Math.ceil(Math.max(DELIVERIES / members, 4 * rooms) / rooms) * rooms;
  const result = await loadgen.publish({ ...plan, count });
  const cpuUs = (cpuOf(worker) - before) / 1000;
  bench.checkDeliveries(`${rooms} rooms of ${members}, ${count} messages`, result);
  await loadgen.stop();
  return { ...result, perMessage: cpuUs / count, perDelivery: cpuUs / result.deliveries, count };
}

function checkGrowth(bench, results, members) {
  const found = results.filter(({ row }) => row.members === members);
  const [fewest, most] = [found[0], found.at(-1)];
  const growth = most.perMessage / fewest.perMessage;
  const rooms = `${most.row.rooms} rooms of ${members}`;
  bench.target(`CPU per message in ${rooms}, of that in ${fewest.row.rooms}`, growth, 'x', {
    most: ALLOWED_GROWTH,
  });
}

export async function run(bench) {
  const users = Math.max(...ROWS.map(({ rooms, members }) => rooms * members));
  const tako = await bench.tako({ workers: 1, users });
  const results = [];
  for (const row of ROWS) results.push({ row, ...(await measure(bench, tako, row)) });
  bench.table([
    ['rooms x members', 'CPU us/message', 'us/delivery', 'messages/CPU s', 'messages/s', 'p50', 'p99'],
    ...results.map(({ row, ...r }) => [
      `${row.rooms} x ${row.members}`,
      r.perMessage.toFixed(2),
      r.perDelivery.toFixed(2),
      Math.round(1e6 / r.perMessage),
      Math.round(r.count / r.seconds),
      `${(r.p50_us / 1000).toFixed(1)} ms`,
      `${(r.p99_us / 1000).toFixed(1)} ms`,
    ]),
  ]);
  const { perMessage } = results.find(({ row }) => row.isTarget);
  bench.target('1,000 rooms of 10: messages in per s of one core', 1e6 / perMessage, '', {
    least: 60_000,
  });
  for (const members of [10, 2]) checkGrowth(bench, results, members);
}
