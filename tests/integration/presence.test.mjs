// SPDX-License-Identifier: MIT
/*
 * Presence in rooms as clients see it, on one worker: frames as they are on the wire, and what real
 * phoenix.js makes of them (channels.md C99-C122, C180-C184; broker/channels/README.md).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PRESENCE, PhoenixUser, outcome } from '../support/phoenix.mjs';
import { PhxClient } from '../support/phx.mjs';
import { PresencePage, publicId, replay } from '../support/presence.mjs';
import { childrenOf } from '../support/proc.mjs';
import { startStack } from '../support/stack.mjs';
import { eventually, table, test } from '../support/testing.mjs';

const WINDOW_MS = 100;

const stack = await startStack({ env: { TAKO_PRESENCE_WINDOW_MS: String(WINDOW_MS) } });
const [url] = stack.brokerUrls;
const clients = [];

/** A test whose clients end with it. */
function roomTest(name, fn) {
  return test(name, async (t) => {
    t.after(() => {
      for (const client of clients.splice(0)) client.terminate();
      PhoenixUser.endAll();
    });
    await fn();
  });
}

const newTopic = () => `room:${randomBytes(6).toString('hex')}`;

async function connect(token, options = {}) {
  const client = await PhxClient.open(options.url ?? url, { token, ...options });
  clients.push(client);
  client.key = publicId(token);
  return client;
}

/** A new user in the room, with the reply and the state that it got. */
async function enter(topic, { payload = {}, nickname, ...options } = {}) {
  const client = await connect(options.token ?? (await stack.createUser(nickname)), options);
  client.reply = await client.join(topic, payload);
  client.state = await client.next();
  return client;
}

const isDiff = (frame) => frame[3] === 'presence_diff';
const isPresence = (frame) => frame[3].startsWith('presence_');
const nextDiff = async (client) => (await client.until(isDiff, { what: 'a diff' }))[4];
const metasOf = (side, client) => side[client.key]?.metas;

/** The diff in which this client joins; those before it are passed. */
async function joinSeenBy(client, other) {
  const frame = await client.until((each) => isDiff(each) && other.key in each[4].joins, {
    what: 'the diff of a join',
  });
  return frame[4];
}

/** Two users in one room who have seen each other. */
async function pair() {
  const topic = newTopic();
  const a = await enter(topic);
  await joinSeenBy(a, a);
  const b = await enter(topic);
  await joinSeenBy(a, b);
  await joinSeenBy(b, b);
  return { topic, a, b };
}

/** What had come by now is passed; then nothing about presence may come before the next change. */
async function assertNoDiffBefore(observer, topic, mark) {
  observer.push(topic, 'update_presence', { mark });
  const diff = await nextDiff(observer);
  assert.deepEqual(Object.keys(diff.joins), [observer.key], JSON.stringify(diff));
  assert.deepEqual(Object.keys(diff.leaves), [observer.key], JSON.stringify(diff));
  assert.equal(diff.joins[observer.key].metas[0].mark, mark);
}

roomTest('C99, C106, C109: reply, then the state, then the own entry once; metas are complete', async () => {
  const topic = newTopic();
  const before = Math.floor(Date.now() / 1000);
  const a = await enter(topic, { nickname: 'Calm_Takodachi', payload: { meta: { device: 'phone' } } });
  assert.deepEqual(a.reply, ['1', '1', topic, 'phx_reply', { response: {}, status: 'ok' }]);
  assert.deepEqual(a.state, ['1', null, topic, 'presence_state', {}]);
  const frame = await a.next();
  assert.deepEqual(frame.slice(0, 4), [null, null, topic, 'presence_diff']);
  const { joins, leaves } = frame[4];
  assert.deepEqual(leaves, {});
  assert.deepEqual(Object.keys(joins), [a.key]);
  const [meta] = joins[a.key].metas;
  assert.match(meta.phx_ref, /^[\w-]{16}$/);
  assert.ok(meta.online_at >= before && meta.online_at <= Date.now() / 1000);
  const { phx_ref, online_at } = meta;
  assert.deepEqual(meta, { phx_ref, nickname: 'Calm_Takodachi', online_at, device: 'phone' });
  const b = await enter(topic);
  assert.deepEqual(b.state, ['1', null, topic, 'presence_state', { [a.key]: { metas: [meta] } }]);
});

roomTest('the key is the public id, and no UUID is ever seen by others', async () => {
  const { a, b } = await pair();
  for (const client of [a, b]) {
    const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-/;
    assert.ok(!client.texts.some((text) => uuid.test(text)), client.texts.join('\n'));
    assert.ok(client.texts.some((text) => text.includes(client.key)));
  }
});

roomTest('C100, C101, C111, C112: an update is one diff, replaces the meta, and names the old ref', async () => {
  const { topic, a, b } = await pair();
  assert.deepEqual(await a.call(topic, 'update_presence', { device: 'tablet', n: 1 }), {
    status: 'ok',
    response: {},
  });
  const first = await nextDiff(b);
  const [joined] = metasOf(first.joins, a);
  const [left] = metasOf(first.leaves, a);
  assert.equal(joined.phx_ref_prev, left.phx_ref);
  assert.notEqual(joined.phx_ref, left.phx_ref);
  assert.equal(joined.device, 'tablet');
  assert.equal(joined.online_at, left.online_at);
  await a.call(topic, 'update_presence', { mood: 'fine' });
  const second = await nextDiff(b);
  const { phx_ref, nickname, online_at } = metasOf(second.joins, a)[0];
  assert.deepEqual(metasOf(second.joins, a), [
    { phx_ref, phx_ref_prev: joined.phx_ref, nickname, online_at, mood: 'fine' },
  ]);
  assert.deepEqual(metasOf(second.leaves, a), [joined], 'C113: the left meta is complete');
});

roomTest('C104, C110: a second tab adds one meta behind the first, and leaves alone', async () => {
  const { topic, b } = await pair();
  const other = await stack.createUser();
  const first = await enter(topic, { token: other, payload: { meta: { tab: 1 } } });
  await joinSeenBy(b, first);
  const second = await enter(topic, { token: other, payload: { meta: { tab: 2 } } });
  const diff = await joinSeenBy(b, second);
  assert.deepEqual(
    metasOf(diff.joins, second).map((meta) => meta.tab),
    [2],
    'only the new meta',
  );
  const late = await enter(topic);
  assert.deepEqual(
    late.state[4][first.key].metas.map((meta) => meta.tab),
    [1, 2],
    'oldest first',
  );
  first.terminate();
  const leave = await b.until((frame) => isDiff(frame) && first.key in frame[4].leaves);
  assert.deepEqual(
    metasOf(leave[4].leaves, first).map((meta) => meta.tab),
    [1],
  );
});

roomTest('C107: a diff always has both sides, each entry its metas', async () => {
  const { topic, a, b } = await pair();
  await a.call(topic, 'update_presence', {});
  await nextDiff(b);
  await a.leave();
  await nextDiff(b);
  for (const [, , , , payload] of b.frames.filter(isDiff)) {
    assert.deepEqual(Object.keys(payload).sort(), ['joins', 'leaves']);
    const entries = [...Object.values(payload.joins), ...Object.values(payload.leaves)];
    assert.ok(entries.length > 0);
    for (const entry of entries) assert.ok(Array.isArray(entry.metas) && entry.metas.length > 0);
  }
});

roomTest('C108: state and diffs are one sequence, while everybody comes, changes and goes', async () => {
  const topic = newTopic();
  const tokens = await stack.createUsers(10);
  const stayers = [];
  let turns = 0;
  const live = async (token, rounds) => {
    for (let i = 0; i < rounds; i++) {
      const client = await enter(topic, { token });
      await client.call(topic, 'update_presence', { turn: ++turns });
      if (i % 2) await client.call(topic, 'update_presence', { turn: ++turns });
      if (i % 3 === 0) client.reply = await client.join(topic);
      if (i + 1 < rounds) client.terminate();
      else stayers.push(client);
    }
  };
  await Promise.all(tokens.map((token, i) => live(token, 3 + (i % 4))));
  const truth = await eventually('everybody knows the same', async () => {
    const views = stayers.map((client) => [...replay(client.frames)].sort().join());
    return new Set(views).size === 1 && views[0].split(',').length === stayers.length && views[0];
  });
  const late = await enter(topic);
  assert.equal([...replay([late.state])].sort().join(), truth);
});

roomTest('C113, C114, C62: every end of a channel is told at once, but not to itself', async () => {
  const { topic, a, b } = await pair();
  const ends = {
    leave: (client) => client.call(topic, 'phx_leave'),
    close: (client) => client.leave(),
    'lost connection': (client) => client.terminate(),
  };
  for (const [name, end] of Object.entries(ends)) {
    const client = await enter(topic);
    await joinSeenBy(b, client);
    await joinSeenBy(client, client);
    await end(client);
    const diff = await nextDiff(b);
    assert.deepEqual(Object.keys(diff.leaves), [client.key], name);
    assert.deepEqual(diff.joins, {}, name);
    assert.ok(!client.pending().some(isDiff), name);
  }
  await eventually('a knows that, too', () => replay(a.frames).size === 2);
});

roomTest('C115: a duplicate join is one diff for the others', async () => {
  const { topic, a, b } = await pair();
  const [reply, state] = [await a.join(topic), await a.next()];
  assert.equal(reply[4].status, 'ok');
  assert.deepEqual(Object.keys(state[4]).sort(), [a.key, b.key].sort());
  const diff = await nextDiff(b);
  assert.equal(metasOf(diff.leaves, a)[0].phx_ref, state[4][a.key].metas[0].phx_ref);
  assert.equal(metasOf(diff.joins, a).length, 1);
  await assertNoDiffBefore(b, topic, 'quiet');
});

roomTest('C116: who comes and goes within the window is not told, nor the middle of a chain', async () => {
  const slow = await stack.startBroker({ TAKO_PRESENCE_WINDOW_MS: '2000' });
  const topic = newTopic();
  const a = await enter(topic, { url: slow.url });
  await joinSeenBy(a, a);
  const b = await enter(topic, { url: slow.url });
  await joinSeenBy(a, b);
  const ghost = await enter(topic, { url: slow.url });
  await ghost.call(topic, 'phx_leave');
  for (const n of [1, 2, 3]) await b.call(topic, 'update_presence', { n });
  const diff = await nextDiff(a);
  assert.deepEqual(Object.keys(diff.joins), [b.key]);
  assert.deepEqual(Object.keys(diff.leaves), [b.key]);
  assert.equal(metasOf(diff.joins, b)[0].n, 3);
  assert.equal(metasOf(diff.leaves, b)[0].n, undefined);
  await slow.stop();
});

roomTest('C109, C116: without a window each change is its own diff, and the state has the own entry', async () => {
  const plain = await stack.startBroker({ TAKO_PRESENCE_WINDOW_MS: '0' });
  const topic = newTopic();
  const a = await enter(topic, { url: plain.url });
  assert.deepEqual(Object.keys(a.state[4]), [a.key]);
  const b = await enter(topic, { url: plain.url });
  assert.deepEqual(Object.keys(b.state[4]).sort(), [a.key, b.key].sort());
  for (const n of [1, 2]) await b.call(topic, 'update_presence', { n });
  await b.leave();
  const seen = [];
  for (let i = 0; i < 4; i++) seen.push(await nextDiff(a));
  assert.deepEqual(
    seen.map(({ joins, leaves }) => [metasOf(joins, b)?.[0].n, metasOf(leaves, b)?.[0].n]),
    [
      [undefined, undefined],
      [1, undefined],
      [2, 1],
      [undefined, 2],
    ],
  );
  assert.equal(a.frames.filter(isDiff).length, 4, 'no diff of its own entry');
  await plain.stop();
});

table(
  'C102, C103, C105: what may not be in a meta',
  [
    [{ ['__proto__']: 1 }, 'invalid meta'],
    [{ constructor: 1 }, 'invalid meta'],
    [{ toString: 'x' }, 'invalid meta'],
    [{ hasOwnProperty: null }, 'invalid meta'],
    [[1, 2], 'invalid meta'],
    ['text', 'invalid meta'],
    [5, 'invalid meta'],
    [{ big: 'x'.repeat(4096) }, 'meta too large'],
  ],
  ([meta]) => JSON.stringify(meta).slice(0, 40),
  async ([meta, reason]) => {
    const client = await connect(await stack.createUser());
    const error = { status: 'error', response: { reason } };
    assert.deepEqual((await client.join(newTopic(), { meta }))[4], error);
    const topic = newTopic();
    assert.equal((await client.join(topic, { meta: { ok: 1 } }))[4].status, 'ok');
    await joinSeenBy(client, client);
    assert.deepEqual(await client.call(topic, 'update_presence', meta), error);
    await assertNoDiffBefore(client, topic, 'still here');
  },
);

roomTest('C102: refs and what the server says cannot be forged', async () => {
  const meta = { phx_ref: 'F', phx_ref_prev: 'F', nickname: 'Admin', online_at: 1, mine: { phx_ref: 'F' } };
  const client = await enter(newTopic(), { nickname: 'Honest_Name', payload: { meta } });
  const [own] = (await nextDiff(client)).joins[client.key].metas;
  assert.deepEqual(Object.keys(own), ['phx_ref', 'nickname', 'online_at', 'mine']);
  assert.equal(own.nickname, 'Honest_Name');
  assert.deepEqual(own.mine, { phx_ref: 'F' });
  assert.notEqual(own.phx_ref, 'F');
});

roomTest('C29: values of a meta stay as they were sent', async () => {
  const client = await enter(newTopic());
  await nextDiff(client);
  client.sendRaw(`["1","9","${client.reply[2]}","update_presence",{"n":12345678901234567890,"f":1.0}]`);
  await nextDiff(client);
  assert.ok(client.texts.at(-1).includes('"n":12345678901234567890,"f":1.0}'), client.texts.at(-1));
});

roomTest('C105: a user has a limit of presences in a room', async () => {
  const strict = await stack.startBroker({ TAKO_PRESENCES_PER_USER: '2', TAKO_PRESENCES_PER_TOPIC: '3' });
  const topic = newTopic();
  const token = await stack.createUser();
  const error = { status: 'error', response: { reason: 'too many presences' } };
  const first = await enter(topic, { url: strict.url, token });
  await enter(topic, { url: strict.url, token });
  const third = await connect(token, { url: strict.url });
  assert.deepEqual((await third.join(topic))[4], error);
  await enter(topic, { url: strict.url });
  const fourth = await connect(await stack.createUser(), { url: strict.url });
  assert.deepEqual((await fourth.join(topic))[4], error);
  await first.leave();
  assert.equal((await fourth.join(topic))[4].status, 'ok');
  await strict.stop();
});

roomTest('C118: a large state arrives as one message, the same for everybody', async () => {
  const topic = newTopic();
  const meta = { text: 'x'.repeat(4000) };
  const tokens = await stack.createUsers(60);
  const members = await Promise.all(tokens.map((token) => enter(topic, { token, payload: { meta } })));
  await eventually('all are seen', () => members.every((each) => replay(each.frames).size === 60));
  const [v2, v1] = [await enter(topic), await connect(await stack.createUser(), { vsn: '1.0.0' })];
  assert.equal(Object.keys(v2.state[4]).length, 60);
  v1.sendRaw(JSON.stringify({ topic, event: 'phx_join', payload: {}, ref: '1' }));
  const state = await eventually('V1 has its state', () =>
    v1.frames.find((frame) => frame.event === 'presence_state'),
  );
  assert.equal(state.ref, null);
  for (const key of Object.keys(v2.state[4])) assert.deepEqual(state.payload[key], v2.state[4][key]);
});

roomTest('C122: a member that does not read is closed, and misses nothing when it is back', async () => {
  const tight = await stack.startBroker({
    TAKO_MAX_QUEUED_BYTES: '65536',
    TAKO_SEND_BUFFER_BYTES: '4096',
    TAKO_PRESENCE_WINDOW_MS: '10',
  });
  const topic = newTopic();
  const talker = await enter(topic, { url: tight.url });
  const sleeper = await enter(topic, { url: tight.url });
  sleeper.pause();
  const text = 'x'.repeat(4000);
  let n = 0;
  await eventually(
    'the sleeper is gone',
    async () => {
      await talker.call(topic, 'update_presence', { n: ++n, text });
      const gone = talker.frames.filter((frame) => isDiff(frame) && sleeper.key in frame[4].leaves);
      return gone.some(({ 4: { joins } }) => !(sleeper.key in joins));
    },
    20_000,
  );
  sleeper.terminate();
  const back = await enter(topic, { url: tight.url });
  assert.deepEqual(Object.keys(back.state[4]), [talker.key]);
  await tight.stop();
});

roomTest('a PATCH of the nickname shows in every room of the user, for all its connections', async () => {
  const token = await stack.createUser('Before_Name');
  const [one, two] = [newTopic(), newTopic()];
  const tab = await enter(one, { token, payload: { meta: { tab: 1 } } });
  const other = await enter(two, { token });
  const watchers = [await enter(one), await enter(two)];
  await eventually('both rooms are told', () =>
    watchers.every((each) => replay(each.frames).size === 2),
  );
  assert.equal(tab.key, other.key);
  for (const watcher of watchers) watcher.pass();
  assert.equal((await stack.api.update(token, { nickname: 'After_Name' })).status, 200);
  for (const watcher of watchers) {
    const diff = await joinSeenBy(watcher, tab);
    const [joined] = metasOf(diff.joins, tab);
    const [left] = metasOf(diff.leaves, tab);
    assert.equal(left.nickname, 'Before_Name');
    assert.equal(joined.nickname, 'After_Name');
    assert.equal(joined.phx_ref_prev, left.phx_ref);
    assert.equal(joined.tab, left.tab);
  }
});

roomTest('C180: a room that only counts', async () => {
  const counting = await stack.startBroker({ TAKO_PRESENCE_COUNTS_ONLY: 'room:stage-*' });
  const topic = `room:stage-${randomBytes(4).toString('hex')}`;
  const a = await enter(topic, { url: counting.url });
  assert.deepEqual(a.state, ['1', null, topic, 'presence_count', { count: 0 }]);
  assert.deepEqual(await a.next(), [null, null, topic, 'presence_count', { count: 1 }]);
  const b = await enter(topic, { url: counting.url });
  assert.deepEqual(b.state[4], { count: 1 });
  assert.deepEqual((await a.next())[4], { count: 2 });
  await b.leave();
  assert.deepEqual((await a.next())[4], { count: 1 });
  assert.ok(a.frames.filter(isPresence).every((frame) => frame[3] === 'presence_count'));
  await counting.stop();
});

const showsExactly = (page, keys) =>
  eventually(`the list is ${keys}`, () => page.keys().join() === [...keys].sort().join());

for (const version of Object.keys(PRESENCE)) {
  roomTest(`C119, C120, C121: phoenix.js ${version} lists exactly who is there, nobody twice`, async () => {
    const topic = newTopic();
    const [first, second] = await stack.createUsers(2);
    const open = (token) => PresencePage.open(url, token, topic, { version });
    const page = await open(first);
    await showsExactly(page, [page.key]);
    const visitor = await open(second);
    await showsExactly(page, [page.key, visitor.key]);
    await showsExactly(visitor, [page.key, visitor.key]);
    const tab = await open(second);
    await eventually('two metas', () => page.presence.state[visitor.key].metas.length === 2);
    assert.equal((await outcome(tab.push('update_presence', { n: 1 }))).status, 'ok');
    await eventually('the update', () => page.presence.state[tab.key].metas.some(({ n }) => n === 1));
    assert.equal(page.presence.state[tab.key].metas.length, 2);
    tab.end();
    await eventually('one meta', () => page.presence.state[visitor.key].metas.length === 1);
    const [{ phx_ref: old }] = page.presence.state[visitor.key].metas;
    visitor.socket.conn.close(4000); // phoenix.js comes back by itself
    await eventually('another ref', () => {
      const metas = page.presence.state[visitor.key]?.metas ?? [];
      return metas.length === 1 && metas[0].phx_ref !== old;
    });
    await eventually('both know the same', () => page.view() === visitor.view());
    assert.equal(page.diary.filter((line) => line === `join ${page.key}`).length, 1);
    visitor.end();
    await showsExactly(page, [page.key]);
    assert.equal(page.diary.at(-1), `leave ${visitor.key}`);
  });
}

roomTest('C128: the only worker is killed, and its clients meet no ghosts of themselves', async () => {
  const topic = newTopic();
  const [page, other] = await Promise.all(
    (await stack.createUsers(2)).map((token) => PresencePage.open(url, token, topic)),
  );
  await showsExactly(page, [page.key, other.key]);
  const [worker] = childrenOf(stack.brokerPids[0]);
  process.kill(worker, 'SIGKILL');
  await eventually('both are back', () => page.opens === 2 && other.opens === 2, 15_000);
  await eventually('with one meta each', () => {
    const metas = Object.values(page.presence.state).map((entry) => entry.metas.length);
    return page.view() === other.view() && metas.join() === '1,1';
  });
});
