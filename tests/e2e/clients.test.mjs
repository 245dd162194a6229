// SPDX-License-Identifier: MIT
/*
 * The client matrix: the scenarios of channels.md, Appendix D, that are not about presence, with
 * phoenix.js of every generation and with one client that is not phoenix.js. All versions of a row run
 * at the same time; a failure names its version. Scenario 11 (authToken) is in phoenix.test.mjs; of
 * scenario 3, unknown events became the error reply of design.md.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { RealtimeChannel, RealtimeClient } from '@supabase/realtime-js';
import { WebSocket } from 'ws';
import { PHOENIX, PhoenixUser, SPEAKS_BINARY, outcome } from '../support/phoenix.mjs';
import { PhxClient, connectStatus } from '../support/phx.mjs';
import { isRunning } from '../support/proc.mjs';
import { memoryOf } from '../bench/lib/process.mjs';
import { CRASH_BROKER, FLAT_MEMORY, startStack } from '../support/stack.mjs';
import { after, eventually, table, test, timed } from '../support/testing.mjs';

const MAX_MESSAGE = 2_000_000;
const FLOOD_BYTES = 200_000; // less than TAKO_MAX_QUEUED_BYTES below, so that it may wait with others
const FLOOD = 'x'.repeat(FLOOD_BYTES);
const MAX_RECEIVE_BUFFER = 128 * 2 ** 20; // more than kernels keep for a client that does not read
const VERSIONS = Object.keys(PHOENIX);
const RECONNECTS_FAST = VERSIONS.filter((version) => version !== '1.3.4'); // C70: since 1.4.4

const clients = new Set();
after(() => {
  PhoenixUser.endAll();
  clients.forEach((client) => client.terminate());
});

const stack = await startStack({
  brokers: 2,
  env: {
    TAKO_DRAIN_MS: '500',
    TAKO_MAX_MESSAGE_BYTES: String(MAX_MESSAGE),
    TAKO_SEND_BUFFER_BYTES: '16384',
    TAKO_MESSAGES_PER_S: '20',
  },
});
const [one, two] = stack.brokerUrls;

/** Runs `fn` for all these (versions) together, and says which ones failed. */
async function forEach(items, fn, name = String) {
  const results = await Promise.allSettled(items.map((item) => fn(item)));
  const failures = results.flatMap(({ status, reason }, i) =>
    status === 'rejected' ? [`${name(items[i])}: ${reason.stack}`] : [],
  );
  assert.equal(failures.length, 0, failures.join('\n'));
}

function page(version, url, token, options) {
  const user = new PhoenixUser(PHOENIX[version], url, token, options);
  user.version = version;
  return user;
}

async function enter(version, url = one, options = {}, topic = 'notifications') {
  const user = page(version, url, await stack.createUser(), options);
  assert.deepEqual(await user.enter(topic), { status: 'ok', response: {} });
  return user;
}

const enterAll = (url, options) => Promise.all(VERSIONS.map((version) => enter(version, url, options)));

/** A hand-written client that has joined. */
async function member(url, options = {}) {
  const client = await PhxClient.open(url, { token: await stack.createUser(), ...options });
  clients.add(client);
  if (options.vsn !== '1.0.0') await client.join('notifications');
  return client;
}

test('scenarios 1, 12, C64: all versions, a V1 and a V2 client written by hand hear each other', async () => {
  const users = [...(await enterAll(one)), ...(await enterAll(two))];
  const modern = await member(two);
  const old = await member(one, { vsn: '1.0.0' });
  old.send({ topic: 'notifications', event: 'phx_join', payload: {}, ref: '1' });
  assert.equal((await old.next()).payload.status, 'ok');

  for (const [i, user] of users.entries()) user.push('shout', { from: `${user.version} ${i}` });
  modern.push('notifications', 'shout', { from: 'V2' });
  old.send({ topic: 'notifications', event: 'shout', payload: { from: 'V1' }, ref: '2' });
  const senders = [...users.map((user, i) => `${user.version} ${i}`), 'V2', 'V1'].sort();
  for (const user of users) {
    await eventually(`${user.version} hears all`, () => user.count('shout') >= senders.length);
    assert.deepEqual(user.events.map(([, { from }]) => from).sort(), senders, user.version);
  }
  const heard = async (client, of) => {
    const names = [];
    while (names.length < senders.length) names.push(of(await client.until((frame) => of(frame))));
    return names.sort();
  };
  assert.deepEqual(await heard(modern, (frame) => frame[3] === 'shout' && frame[4].from), senders);
  assert.deepEqual(await heard(old, (frame) => frame.event === 'shout' && frame.payload.from), senders);

  await forEach(VERSIONS, async (version) => {
    const user = users.find((each) => each.version === version);
    await stack.takoctlOk('message', user.token, version);
    await user.sees('msg', { user_id: user.token, message: version });
    const reply = await outcome(user.push('ping', { hello: [version, null, 1.5] }));
    assert.deepEqual(reply, { status: 'ok', response: { hello: [version, null, 1.5] } });
    assert.deepEqual(await outcome(user.push('message', {})), {
      status: 'error',
      response: { reason: 'unknown event' },
    });
    assert.equal((await outcome(user.channel.leave())).status, 'ok');
    assert.equal(user.joins, 1, 'an error reply does not cost the channel');
  });
  PhoenixUser.endAll();
});

/** An unmasked frame: no library sends one. */
const violateProtocol = ({ socket }) => socket.conn._socket.write(Buffer.from([0x81, 0x00]));
const invalidUtf8 = Buffer.from('[null,"1","phoenix","heartbeat",{"a":"\xff"}]', 'latin1');

function talkTooMuch({ socket }) {
  for (let i = 0; i < 250; i++) socket.push({ topic: 'phoenix', event: 'heartbeat', payload: {}, ref: `x${i}` });
}

/** What makes the server close a client, for every code that it uses (C83; 1012 is below). */
const CLOSES = [
  [1001, 'disconnect', (user) => stack.takoctlOk('disconnect', user.token)],
  [1002, 'a protocol error', violateProtocol],
  [1007, 'text that is not UTF-8', ({ socket }) => socket.conn.send(invalidUtf8, { binary: false })],
  [1008, 'too many messages', talkTooMuch],
  [1009, 'a message too big', ({ socket }) => socket.conn.send('x'.repeat(MAX_MESSAGE + 1))],
  [1011, 'a malformed message', ({ socket }) => socket.conn.send('hello')],
];

test('scenario 2, C83, C165: every version comes back from every close code by itself', async () => {
  const matrix = CLOSES.flatMap((close) => VERSIONS.map((version) => [version, ...close]));
  const comesBack = async ([version, code, , provoke]) => {
    const user = await enter(version);
    await provoke(user);
    await user.isBack([code]);
    user.end();
  };
  await forEach(matrix, comesBack, ([version, code, why]) => `${version} after ${code} (${why})`);
});

test('C23, C83: 1000 is the answer to a client that says goodbye, of every version', async () => {
  await forEach(VERSIONS, async (version) => {
    const user = await enter(version);
    const closed = once(user.socket.conn, 'close');
    user.end();
    const [code] = await closed;
    assert.equal(code, 1000);
  });
});

/** What a page is for the server when its network has gone without a word: not even pongs (C175). */
class MuteWebSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { autoPong: false });
  }
}

test('scenario 2, C19: every version comes back after 1001 for silence', async () => {
  const impatient = await stack.startBroker({ TAKO_IDLE_TIMEOUT_MS: '1000' });
  await forEach(VERSIONS, async (version) => {
    const user = await enter(version, impatient.url, { transport: MuteWebSocket });
    await eventually('it is back', () => user.joins >= 2, 20_000);
    assert.equal(user.closeCodes[0], 1001);
    user.end();
  });
});

test('scenario 2, C165: every version comes back when its worker is killed', async () => {
  const own = await stack.startBroker({ TAKO_NODE_LEASE_MS: '1500' });
  const users = await enterAll(own.url);
  const node = (await stack.nodes()).find(({ port }) => port === own.port);
  process.kill(node.pid, 'SIGKILL');
  await forEach(VERSIONS, (version) => users[VERSIONS.indexOf(version)].isBack([1006]));
  PhoenixUser.endAll();
});

test('scenario 3, C61, C71, C174: every version rejoins after its channel has failed, alone', async () => {
  const own = await stack.startBroker({}, CRASH_BROKER);
  const neighbour = await enter('latest', own.url, {}, 'crash:1');
  await forEach(VERSIONS, async (version) => {
    const user = await enter(version, own.url, {}, 'crash:1');
    const other = user.channelOn('notifications');
    assert.equal((await outcome(other.join())).status, 'ok');
    user.push('crash', {});
    await eventually('it has rejoined', () => user.joins === 2, 20_000);
    assert.deepEqual(await outcome(user.push('ping', { back: true })), { status: 'ok', response: { back: true } });
    assert.equal(other.state, 'joined');
    assert.deepEqual([user.opens, user.closeCodes], [1, []], 'the connection has stayed');
    user.end();
  });
  assert.deepEqual([neighbour.joins, neighbour.channel.state], [1, 'joined']);
  assert.equal(own.log.match(/channel crashed topic=crash:1/g).length, 1, own.log);
});

test('scenario 4, C71: a refused join is tried again, after a second and not at once', async () => {
  await forEach(VERSIONS, async (version) => {
    const user = page(version, one, await stack.createUser());
    let refusals = 0;
    user.socket.onMessage(({ event, payload }) => {
      if (event === 'phx_reply' && payload.response?.reason === 'unmatched topic') refusals++;
    });
    const { ms } = await timed(async () => {
      assert.deepEqual(await user.enter('notifications:lobby'), {
        status: 'error',
        response: { reason: 'unmatched topic' },
      });
      if (RECONNECTS_FAST.includes(version)) await eventually('a second try', () => refusals === 2, 5000);
      else await delay(1500);
    });
    assert.ok(ms >= 900, `tried again after ${Math.round(ms)} ms`);
    assert.equal(refusals, RECONNECTS_FAST.includes(version) ? 2 : 1);
    user.end();
  });
});

test('scenario 4, C70, C167: refused connects are tried again in rising steps', async () => {
  await forEach(VERSIONS, async (version) => {
    const attempts = [];
    class Counted extends WebSocket {
      constructor(...args) {
        super(...args);
        attempts.push(performance.now());
      }
    }
    const user = page(version, one, '00000000-0000-4000-8000-000000000000', { transport: Counted });
    user.socket.onError(() => {});
    user.socket.connect();
    const expected = RECONNECTS_FAST.includes(version) ? 8 : 2;
    await eventually(`${expected} attempts`, () => attempts.length >= expected, 10_000);
    user.end();
    const took = attempts[expected - 1] - attempts[0];
    const steps = RECONNECTS_FAST.includes(version) ? 1260 : 1000; // 10 50 100 150 200 250 500
    assert.ok(took >= steps * 0.95, `${expected} attempts in ${Math.round(took)} ms`);
    assert.equal(user.opens, 0);
  });
});

test('scenario 4, C167: a thousand refusals leave nothing behind', async () => {
  const own = await stack.startBroker(FLAT_MEMORY);
  const { pid } = (await stack.nodes()).find(({ port }) => port === own.port);
  const refuse = async (count) => {
    for (let i = 0; i < count / 50; i++) {
      const token = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
      const statuses = await Promise.all(Array.from({ length: 50 }, () => connectStatus(own.url, { token })));
      assert.ok(statuses.every((status) => status === 403));
    }
  };
  await refuse(2000); // what is allocated once; with AddressSanitizer that takes long
  const before = memoryOf(pid).rss;
  await refuse(1000);
  const grown = memoryOf(pid).rss - before;
  assert.ok(grown < 512 * 1024, `${grown} bytes more`);
});

test('scenario 5, C50, C60, C74: of two channel objects on one topic the newer works', async () => {
  await forEach(VERSIONS, async (version) => {
    const user = await enter(version);
    const older = user.channel;
    let closed = 0;
    older.onClose(() => closed++);
    user.channel = user.channelOn('notifications');
    assert.equal((await outcome(user.channel.join())).status, 'ok');
    await eventually('the older is closed', () => older.state === 'closed');
    user.push('shout', { version });
    await user.sees('shout', { version });
    assert.deepEqual(await outcome(user.push('ping', { version })), { status: 'ok', response: { version } });
    assert.equal(user.channel.state, 'joined');
    assert.equal(closed, 1);
    assert.equal(older.state, 'closed', 'it does not rejoin');
    user.end();
  });
});

table(
  'scenario 8, C35-C40: binary pushes, replies and broadcasts',
  [0, 1, 1_000_000],
  (size) => `${size} bytes`,
  async (size) => {
    const bytes = Buffer.alloc(size, 'tako');
    const payload = () => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + size);
    const isSame = (data) => data instanceof ArrayBuffer && Buffer.from(data).equals(bytes);
    await forEach(SPEAKS_BINARY, async (version) => {
      const topic = `room:binary-${version}-${size}`;
      const user = page(version, one, await stack.createUser());
      const listener = page('latest', two, await stack.createUser());
      for (const each of [user, listener]) assert.equal((await each.enter(topic)).status, 'ok');
      user.push('shout', payload());
      for (const each of [user, listener]) {
        await eventually('the broadcast', () => each.events.some(([event, data]) => event === 'shout' && isSame(data)));
        each.end();
      }
      const echoing = await enter(version);
      const { status, response } = await outcome(echoing.push('ping', payload()));
      assert.equal(status, 'ok');
      assert.ok(isSame(response), 'the reply has the same bytes');
      echoing.end();
    });
  },
);

test('scenario 8: topics beyond ASCII', async () => {
  const topic = 'room:\u{1f419} タコ é';
  await forEach(VERSIONS, async (version) => {
    const [user, other] = [page(version, one, await stack.createUser()), page('latest', two, await stack.createUser())];
    for (const each of [user, other]) assert.equal((await each.enter(`${topic}${version}`)).status, 'ok');
    user.push('shout', { text: '\u{1f980}' });
    await other.sees('shout', { text: '\u{1f980}' });
    for (const each of [user, other]) each.end();
  });
  const user = page('latest', one, await stack.createUser());
  assert.equal((await user.enter(topic)).status, 'ok');
  user.push('shout', new Uint8Array([1, 2]).buffer);
  await eventually('the binary broadcast', () => user.count('shout') === 1);
  user.end();
});

test(
  'scenario 9, C81, C82: 1,000 clients of a broker that drains all see 1012 and are joined elsewhere',
  async () => {
    const count = 1000;
    const [leaving, staying] = [await stack.startBroker({ TAKO_DRAIN_MS: '1000' }), one];
    const token = await stack.createUser();
    const users = Array.from({ length: count }, (_, i) => {
      const user = page(VERSIONS[i % VERSIONS.length], leaving.url, token);
      user.socket.onClose(() => {
        user.socket.endPoint = `${staying}/websocket`; // where a balancer would send it now
      });
      return user;
    });
    for (let i = 0; i < count; i += 100) {
      const replies = await Promise.all(users.slice(i, i + 100).map((user) => user.enter()));
      assert.ok(replies.every(({ status }) => status === 'ok'));
    }
    leaving.signal('SIGTERM');
    await eventually(
      'all are back',
      () => users.every((user) => user.joins === 2 && user.channel.state === 'joined'),
      40_000,
    );
    for (const user of users) assert.deepEqual(user.closeCodes, [1012], user.version);
    assert.deepEqual(await leaving.exited, { code: 0, signal: null });
    await stack.takoctlOk('ping');
    await eventually('all hear the ping', () => users.every((user) => user.count('ping') === 1), 10_000);
    PhoenixUser.endAll();
  },
  { limit: 90_000 },
);

test('C166: 500 clients of a killed worker are all joined again, with few statements', async () => {
  const own = await stack.startBroker({ TAKO_NODE_LEASE_MS: '1500' });
  const tokens = await stack.createUsers(500);
  const users = tokens.map((token) => page('latest', own.url, token));
  await Promise.all(users.map((user) => user.enter()));
  const entry = async () => (await stack.nodes()).find((node) => node.port === own.port && isRunning(node.pid));
  const { pid } = await entry();
  process.kill(pid, 'SIGKILL');
  await eventually('all are back', () => users.every((user) => user.joins === 2), 40_000);
  const node = await eventually('the new worker counts them', async () => {
    const found = await entry();
    return found?.connections === users.length && found;
  });
  assert.notEqual(node.pid, pid);
  assert.ok(node.statements > 0 && node.statements < users.length, `${node.statements} statements`);
  assert.equal(node.refused, 0);
  PhoenixUser.endAll();
});

test('scenario 10, C169: pages that stop reading while 100 others shout cost the others nothing', async () => {
  const limits = { TAKO_MAX_QUEUED_BYTES: '400000', TAKO_MESSAGES_PER_S: '0', TAKO_NODE_LEASE_MS: '1500' };
  const own = await stack.startBroker(limits);
  const stuck = await enterAll(own.url);
  const token = await stack.createUser();
  const others = Array.from({ length: 100 }, () => page('1.7.6', own.url, token));
  await Promise.all(others.map((user) => user.enter()));
  const flooder = page('1.7.6', own.url, token);
  await flooder.enter('room:flood');
  for (const user of stuck) {
    assert.equal((await outcome(user.channelOn('room:flood').join())).status, 'ok');
    user.socket.conn.pause();
  }

  const readers = others.length + 1;
  const connections = async () => (await stack.nodes()).find(({ port }) => port === own.port).connections;
  await eventually('all are counted', async () => (await connections()) === stuck.length + readers);
  let rounds = 0;
  while ((await connections()) > readers) {
    assert.ok(++rounds * FLOOD_BYTES <= MAX_RECEIVE_BUFFER, 'they are never closed');
    flooder.push('shout', { rounds, pad: FLOOD });
    for (const [i, user] of others.entries()) user.push('shout', { i, rounds });
    await eventually('the others hear all', () => others.every((user) => user.count('shout') === rounds * 100), 15_000);
    await eventually('the flood arrives', () => flooder.count('shout') === rounds, 15_000);
  }
  for (const user of stuck) user.socket.conn.resume();
  await forEach(VERSIONS, (version) => stuck[VERSIONS.indexOf(version)].isBack([1001, 1006]));
  for (const user of [...others, flooder]) assert.deepEqual(user.closeCodes, []);
  PhoenixUser.endAll();
});

/** A Supabase client: its own implementation, V1, with its own idea of when to come back. */
class SupabaseUser {
  states = [];
  shouts = [];

  constructor(url, token, { topic = 'notifications', transport = WebSocket } = {}) {
    this.client = new RealtimeClient(url, { params: { apikey: 'none', userToken: token }, transport });
    this.channel = new RealtimeChannel(topic, { config: {} }, this.client); // channel() would prefix the topic
    this.client.channels.push(this.channel);
    this.channel.on('shout', {}, (payload) => this.shouts.push(payload));
    this.channel.subscribe((state) => this.states.push(state));
  }

  /** Of the connection that is open now. */
  closeCode() {
    return new Promise((resolve) => {
      this.client.conn.addEventListener('close', ({ code }) => resolve(code));
    });
  }

  isSubscribed(times) {
    return eventually(
      `the client has subscribed ${times} times; ${this.states}`,
      () => this.states.filter((state) => state === 'SUBSCRIBED').length === times,
      20_000,
    );
  }
}

test('a client that is not phoenix.js: join, ping, shout both ways', async () => {
  const user = new SupabaseUser(one, await stack.createUser());
  await user.isSubscribed(1);
  const other = await enter('1.7.6', two);

  assert.equal(await user.channel.send({ type: 'ping' }), 'ok');
  await user.channel.send({ type: 'pong' }, { timeout: 1 }); // no reply, on purpose (C92)
  other.push('shout', { from: 'phoenix' });
  await eventually('the shout of phoenix.js', () => user.shouts.some(({ from }) => from === 'phoenix'));
  void user.channel.send({ type: 'shout', from: 'supabase' }, { timeout: 1 });
  await other.sees('shout', { type: 'shout', from: 'supabase' });
  user.client.disconnect();
  other.end();
});

test('a client that is not phoenix.js comes back from every close code by itself', async () => {
  const comesBack = async ([code, , provoke]) => {
    const token = await stack.createUser();
    const user = new SupabaseUser(one, token);
    await user.isSubscribed(1);
    const closed = user.closeCode();
    await provoke({ token, socket: user.client });
    assert.equal(await closed, code);
    await user.isSubscribed(2);
    user.client.disconnect();
  };
  await forEach(CLOSES, comesBack, ([code, why]) => `after ${code} (${why})`);
});

test('C81, C83: a client that is not phoenix.js comes back after a drain', async () => {
  const user = new SupabaseUser(one, await stack.createUser());
  await user.isSubscribed(1);
  const closed = user.closeCode();
  await stack.control('restart', 'broker1');
  assert.equal(await closed, 1012);
  await user.isSubscribed(2);
  user.client.disconnect();
});

test('C19, C83: a client that is not phoenix.js comes back after 1001 for silence', async () => {
  const impatient = await stack.startBroker({ TAKO_IDLE_TIMEOUT_MS: '1000' });
  const user = new SupabaseUser(impatient.url, await stack.createUser(), { transport: MuteWebSocket });
  await user.isSubscribed(1);
  assert.equal(await user.closeCode(), 1001);
  await user.isSubscribed(2);
  user.client.disconnect();
});

test('C61: a client that is not phoenix.js rejoins after its channel has failed', async () => {
  const own = await stack.startBroker({}, CRASH_BROKER);
  const user = new SupabaseUser(own.url, await stack.createUser(), { topic: 'crash:1' });
  await user.isSubscribed(1);
  void user.channel.send({ type: 'crash' }, { timeout: 1 });
  await user.isSubscribed(2);
  assert.equal(await user.channel.send({ type: 'ping' }), 'ok');
  user.client.disconnect();
});
