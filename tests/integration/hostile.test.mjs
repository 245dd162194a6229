// SPDX-License-Identifier: MIT
/*
 * Clients that mean no good: every limit has its clear answer (channels.md, C167, C169, C185), and 500
 * of them beside 500 good ones take nothing from those.
 */
import assert from 'node:assert/strict';
import { UNFINISHED, dismissHostile, gatherHostile } from '../support/hostile.mjs';
import { RawConnection, upgradeRequest } from '../support/raw.mjs';
import { PhxClient, connectStatus } from '../support/phx.mjs';
import { startStack } from '../support/stack.mjs';
import { after, eventually, test } from '../support/testing.mjs';

const HANDSHAKE_MS = 4000;
const MAX_QUEUED = 100_000;
const COUNT = 500;

const stack = await startStack({
  env: {
    TAKO_HANDSHAKE_TIMEOUT_MS: String(HANDSHAKE_MS),
    TAKO_MAX_QUEUED_BYTES: String(MAX_QUEUED),
    TAKO_SEND_BUFFER_BYTES: '4096',
    TAKO_MESSAGES_PER_S: '20',
    TAKO_JOINS_PER_S: '1',
    TAKO_MAX_CHANNELS: '5',
    TAKO_MAX_TOPIC_BYTES: '40',
  },
});
const [broker] = stack.brokerUrls;
const [port] = stack.brokerPorts;
const token = await stack.createUser();

const clients = new Set();
after(() => clients.forEach((client) => client.terminate()));

async function open(url = broker) {
  const client = await PhxClient.open(url, { token });
  clients.add(client);
  return client;
}

async function member(url) {
  const client = await open(url);
  assert.equal((await client.join('notifications'))[4].status, 'ok');
  return client;
}

const refusal = (reason) => ({ status: 'error', response: { reason } });

test('C185: a topic over the limit is refused, one of the limit is not', async () => {
  const client = await open();
  const longest = 'room:'.padEnd(40, 'x');
  assert.equal((await client.join(longest))[4].status, 'ok');
  const refused = await client.join(`${longest}x`);
  assert.deepEqual(refused.slice(1, 4), [refused[0], `${longest}x`, 'phx_reply'], 'the join_ref is kept');
  assert.deepEqual(refused[4], refusal('topic too long'));
  assert.equal((await client.call(longest, 'phx_leave')).status, 'ok', 'the connection lives on');
});

test('C185: joins beyond the rate are refused, the connection and its channels live on', async () => {
  const client = await member();
  let refused;
  for (let i = 0; i < 30 && !refused; i++) {
    const { 4: answer } = await client.join('room:again');
    if (answer.status !== 'ok') refused = answer;
  }
  assert.deepEqual(refused, refusal('too many joins'));
  assert.deepEqual(await client.call('notifications', 'ping', { n: 1 }), { status: 'ok', response: { n: 1 } });
});

test('C185, C83: messages and pings beyond the rate close with 1008, and nobody else', async () => {
  const [talker, pinger, neighbour] = [await member(), await member(), await member()];
  for (let i = 0; i < 300; i++) {
    talker.push('notifications', 'pong', {});
    pinger.ping();
  }
  for (const client of [talker, pinger]) assert.equal((await client.closed()).code, 1008);
  assert.deepEqual(await neighbour.settle(), []);
});

test('C167: connections of one address beyond the limit are answered 429, and only while it lasts', async () => {
  const strict = await stack.startBroker({ TAKO_MAX_CONNECTIONS_PER_ADDRESS: '3' });
  const open3 = [await open(strict.url), await open(strict.url), await open(strict.url)];
  const raw = await RawConnection.open(strict.port);
  raw.write(upgradeRequest(`/socket/websocket?userToken=${token}&vsn=2.0.0`));
  const { status, headers, body } = await raw.response();
  assert.deepEqual([status, headers['content-length'], headers.connection, body], [429, '0', 'close', '']);
  assert.ok(Number(headers['retry-after']) > 0);
  await raw.ended();
  await open3[0].leave();
  await eventually('the place is free', async () => (await connectStatus(strict.url, { token })) === 101);
});

test('a request that does not end in time is dropped, however slowly it goes on', async () => {
  const hostile = await gatherHostile(port, UNFINISHED.length, { token, kinds: UNFINISHED });
  for (const { raw } of hostile) await raw.ended(HANDSHAKE_MS + 10_000);
});

/** One message to all, and none lost: the next one goes when everybody has it. */
async function broadcast(publisher, members, message) {
  publisher.push('notifications', 'shout', message);
  for (const each of members) {
    assert.deepEqual(await each.next(30_000), [null, null, 'notifications', 'shout', message]);
  }
}

test(
  'C169: 500 hostile clients beside 500 good ones: the good ones miss nothing and are all there',
  async () => {
    const own = await stack.startBroker({ TAKO_MESSAGES_PER_S: '0', TAKO_NODE_LEASE_MS: '1500' });
    const members = [];
    while (members.length < COUNT) {
      members.push(...(await Promise.all(Array.from({ length: 50 }, () => member(own.url)))));
    }
    const hostile = await gatherHostile(own.port, COUNT, { token });
    after(() => dismissHostile(hostile));
    const [publisher] = members;
    const connections = async () => (await stack.nodes()).find((node) => node.port === own.port).connections;
    const ofKind = (kind) => hostile.filter((each) => each.kind === kind);
    const staying = COUNT + ofKind('drippingFrame').length;
    await eventually('all that got a websocket count', async () => {
      return (await connections()) === staying + ofKind('deaf').length;
    });

    const pad = 'x'.repeat(10_000);
    let rounds = 0;
    while ((await connections()) > staying) {
      assert.ok(++rounds <= 1000, 'the deaf are never closed');
      await broadcast(publisher, members, { rounds, pad });
    }
    await Promise.all(UNFINISHED.flatMap(ofKind).map(({ raw }) => raw.ended(30_000)));
    await broadcast(publisher, members, { last: true });

    for (const { raw } of ofKind('drippingFrame')) assert.equal(raw.hasEnded, false, 'slow is allowed');
    for (const each of members) assert.equal(each.closeEvent, null);
    assert.equal(await connectStatus(own.url, { token }), 101, 'and the next one gets in');
  },
  { limit: 120_000 },
);
