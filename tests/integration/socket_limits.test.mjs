// SPDX-License-Identifier: MIT
/*
 * Where a broker draws the line: websocket protocol errors, sizes, silence, clients that do not read
 * (channels.md, C18-C23, C83, C169). The broker has small limits, so that they are reached.
 */
import assert from 'node:assert/strict';
import { RawConnection, clientFrame, closeFrame, opcode, upgradeRequest } from '../support/raw.mjs';
import { PhxClient, connectStatus } from '../support/phx.mjs';
import { startStack } from '../support/stack.mjs';
import { after, eventually, table, test, timed } from '../support/testing.mjs';

const MAX_MESSAGE = 100_000;
const MAX_QUEUED = 200_000;
const IDLE_MS = 1500;
const SLACK_MS = 5000;

const stack = await startStack({
  env: {
    TAKO_MAX_MESSAGE_BYTES: String(MAX_MESSAGE),
    TAKO_MAX_QUEUED_BYTES: String(MAX_QUEUED),
    TAKO_SEND_BUFFER_BYTES: '16384',
    TAKO_NODE_LEASE_MS: '1500',
  },
});
const [broker] = stack.brokerUrls;
const [port] = stack.brokerPorts;
const user = await stack.createUser();

const opened = new Set();
after(() => opened.forEach((connection) => connection.destroy()));

/** An open websocket without a client library. */
async function rawSocket(to = port) {
  const raw = await RawConnection.open(to);
  opened.add(raw);
  raw.write(upgradeRequest(`/socket/websocket?userToken=${user}&vsn=2.0.0`));
  assert.equal((await raw.response()).status, 101);
  return raw;
}

async function member({ url = broker } = {}) {
  const client = await PhxClient.open(url, { token: user });
  await client.join('notifications');
  return client;
}

const ping = (text) => `["1","2","notifications","ping",{"pad":"${text}"}]`;
const PING_OVERHEAD = ping('').length;

table(
  'C22, C17: protocol errors close with 1002',
  [
    ['unmasked frame', clientFrame(opcode.text, '[]', { masked: false })],
    ['RSV1 without an extension', clientFrame(opcode.text, '[]', { rsv: 4 })],
    ['RSV2', clientFrame(opcode.text, '[]', { rsv: 2 })],
    ['reserved data opcode', clientFrame(3, 'x')],
    ['reserved control opcode', clientFrame(11, 'x')],
    ['fragmented ping', clientFrame(opcode.ping, 'x', { fin: false })],
    ['ping of 126 bytes', clientFrame(opcode.ping, 'x'.repeat(126))],
    ['stray continuation', clientFrame(opcode.continuation, 'x')],
    [
      'a new message inside a fragmented one',
      Buffer.concat([clientFrame(opcode.text, '[', { fin: false }), clientFrame(opcode.text, '[]')]),
    ],
    ['close with code 1005', closeFrame(1005)],
    ['close with code 999', closeFrame(999)],
    ['close payload of one byte', clientFrame(opcode.close, 'x')],
  ],
  ([name]) => name,
  async ([, bytes]) => {
    const raw = await rawSocket();
    raw.write(bytes);
    assert.equal(await raw.closeCode(), 1002);
  },
);

table(
  'C22: text that is not UTF-8 closes with 1007',
  [
    ['overlong', [0xc0, 0xaf]],
    ['surrogate', [0xed, 0xa0, 0x80]],
    ['cut sequence', [0xe3, 0x81]],
    ['no such byte', [0xff]],
  ],
  ([name]) => name,
  async ([, bytes]) => {
    const raw = await rawSocket();
    const text = Buffer.concat([
      Buffer.from('[null,"1","phoenix","heartbeat",{"a":"'),
      Buffer.from(bytes),
      Buffer.from('"}]'),
    ]);
    raw.write(clientFrame(opcode.text, text));
    assert.equal(await raw.closeCode(), 1007);
  },
);

test('C171, C30: a malformed message costs one line that says who, and nothing of what', async () => {
  const own = await stack.startBroker();
  const client = await member({ url: own.url });
  const lines = () => own.log.split('\n').filter((line) => line.includes('malformed message'));
  for (let i = 0; i < 3; i++) client.sendRaw(`secret words ${i}`);
  assert.equal((await client.closed()).code, 1011);
  await eventually('the line', () => lines().length > 0);
  await connectStatus(own.url, { token: user }); // what the others would have caused is in the log now
  assert.equal(lines().length, 1, own.log);
  assert.ok(lines()[0].includes(`user=${user.slice(0, 8)} `));
  assert.ok(!own.log.includes('secret') && !own.log.includes(user));
});

test('C22: after an error the connection ends, and nothing more is obeyed', async () => {
  const raw = await rawSocket();
  raw.write(
    Buffer.concat([
      clientFrame(3, 'x'),
      clientFrame(opcode.text, '[null,"1","phoenix","heartbeat",{}]'),
      closeFrame(1002),
    ]),
  );
  const close = await raw.frame();
  assert.deepEqual([close.op, close.payload.readUInt16BE()], [opcode.close, 1002]);
  await raw.ended();
});

/**
 * A browser that got a close frame answers and waits for the server to end the connection. After a
 * violation its answer was not understood any more, so it waited out the three seconds that tako
 * leaves to clients that do not answer, and came back only then.
 */
test('C22: a client that broke the protocol need not wait for the end of the connection', async () => {
  const [violator, mute] = [await rawSocket(), await rawSocket()];
  mute.write(clientFrame(opcode.text, 'malformed')); // and never answers the close frame
  assert.equal(await mute.closeCode(), 1011);
  violator.write(clientFrame(3, 'x'));
  assert.equal(await violator.closeCode(), 1002);
  await violator.ended();
  assert.equal(mute.hasEnded, false, 'later than a client that says nothing');
  await mute.ended();
});

test('C22, C21: fragments are put together, also around a ping, also byte by byte', async () => {
  const raw = await rawSocket();
  const text = '[null,"1","phoenix","heartbeat",{"a":"\u{1f419}"}]';
  const message = Buffer.from(text);
  raw.write(clientFrame(opcode.text, message.subarray(0, 1), { fin: false }));
  for (let i = 1; i < message.length - 1; i++) {
    raw.write(clientFrame(opcode.continuation, message.subarray(i, i + 1), { fin: false }));
  }
  raw.write(clientFrame(opcode.ping, 'in between'));
  const pong = await raw.frame();
  assert.deepEqual([pong.op, pong.payload.toString()], [opcode.pong, 'in between']);
  raw.write(clientFrame(opcode.continuation, message.subarray(-1)));
  assert.equal((await raw.json())[1], '1');
});

test('C21: a ping is answered with its payload', async () => {
  const raw = await rawSocket();
  for (const payload of ['', 'hello', 'x'.repeat(125)]) {
    raw.write(clientFrame(opcode.ping, payload));
    const { op, fin, payload: answer } = await raw.frame();
    assert.deepEqual([op, fin, answer.toString()], [opcode.pong, true, payload]);
  }
});

test('C23: a close is answered with its code, after the answers to what came before', async () => {
  const raw = await rawSocket();
  raw.write(
    Buffer.concat([
      clientFrame(opcode.text, '[null,"1","phoenix","heartbeat",{}]'),
      closeFrame(1000),
      clientFrame(opcode.text, '[null,"2","phoenix","heartbeat",{}]'),
    ]),
  );
  assert.equal((await raw.json())[1], '1');
  assert.equal(await raw.closeCode(), 1000);
  await raw.ended();
});

test('C18: a message of the limit passes, one byte more closes with 1009', async () => {
  const client = await member();
  client.sendRaw(ping('x'.repeat(MAX_MESSAGE - PING_OVERHEAD)));
  assert.equal((await client.next())[4].status, 'ok');
  client.sendRaw(ping('x'.repeat(MAX_MESSAGE - PING_OVERHEAD + 1)));
  assert.equal((await client.closed()).code, 1009);
});

test('C18: the limit counts all fragments, and looks at a header before the bytes', async () => {
  const inPieces = await rawSocket();
  inPieces.write(clientFrame(opcode.text, 'x'.repeat(60_000), { fin: false }));
  inPieces.write(clientFrame(opcode.continuation, 'x'.repeat(60_000), { fin: false }));
  assert.equal(await inPieces.closeCode(), 1009);

  const announced = await rawSocket();
  const header = clientFrame(opcode.text, 'x'.repeat(MAX_MESSAGE + 1)).subarray(0, 14 + 600);
  announced.write(header);
  assert.equal(await announced.closeCode(), 1009);
});

test('C19, C175: a silent client is closed with 1001, one that says anything stays', async () => {
  const impatient = await stack.startBroker({ TAKO_IDLE_TIMEOUT_MS: String(IDLE_MS) });
  const open = () => PhxClient.open(impatient.url, { token: user, autoPong: false });
  const [silent, beating, pinging] = [await open(), await open(), await open()];
  const background = await PhxClient.open(impatient.url, { token: user }); // answers pings, as browsers do
  const heartbeats = setInterval(() => {
    beating.push('phoenix', 'heartbeat');
    pinging.ping();
  }, IDLE_MS / 3);
  try {
    const { result, ms } = await timed(() => silent.closed(IDLE_MS + SLACK_MS));
    assert.equal(result.code, 1001);
    assert.ok(ms > IDLE_MS / 2, `closed after ${Math.round(ms)} ms`);
    const next = await open();
    await next.closed(IDLE_MS + SLACK_MS); // a second period has passed
    assert.ok(!beating.isClosed && !pinging.isClosed && !background.isClosed);
  } finally {
    clearInterval(heartbeats);
  }
  assert.equal((await beating.closed(IDLE_MS + SLACK_MS)).code, 1001);
  assert.equal(background.closeEvent, null);
  await background.leave();
});

test('C169: a client that does not read is closed, the others miss nothing', async () => {
  const count = 400;
  const pad = 'x'.repeat(50_000);
  const own = await stack.startBroker(); // so that its connections can be counted
  const [publisher, reader] = [await member({ url: own.url }), await member({ url: own.url })];
  const slow = await rawSocket(own.port);
  slow.write(clientFrame(opcode.text, '["1","1","notifications","phx_join",{}]'));
  await slow.json();
  const connections = async () => (await stack.nodes()).find((node) => node.port === own.port)?.connections;
  await eventually('the node entry shows all three', async () => (await connections()) === 3);
  slow.pause();

  for (let i = 0; i < count; i++) {
    publisher.push('notifications', 'shout', { i, pad });
    for (const client of [publisher, reader]) assert.equal((await client.next())[4].i, i);
  }
  await eventually('the slow client is gone', async () => (await connections()) === 2, 15_000);

  slow.resume();
  let received = 0;
  let last = null;
  while (!slow.hasEnded || last?.op !== opcode.close) {
    last = await slow.frame().catch(() => null);
    if (last === null) break;
    if (last.op === opcode.text) assert.equal(JSON.parse(last.payload)[4].i, received++, 'no gap (C122)');
  }
  assert.ok(received < count, `received ${received} of ${count}`);
  if (last?.op === opcode.close) assert.equal(last.payload.readUInt16BE(), 1001);
  await slow.ended();
  assert.deepEqual([publisher.closeEvent, reader.closeEvent], [null, null]);
});
