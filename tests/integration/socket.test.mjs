// SPDX-License-Identifier: MIT
/*
 * Channels on one broker, frame by frame: the real client's session, both serializers, the life of
 * a channel, and the application's events (channels.md, C20-C63, C79-C98, with design.md's error
 * replies instead of crashes).
 */
import assert from 'node:assert/strict';
import { PhxClient, connectStatus } from '../support/phx.mjs';
import { startStack } from '../support/stack.mjs';
import { after, table, test } from '../support/testing.mjs';

const stack = await startStack({ env: { TAKO_MAX_CHANNELS: '5' } });
const [broker] = stack.brokerUrls;

const clients = new Set();
after(() => clients.forEach((client) => client.terminate()));

async function open(options = {}) {
  const token = options.token ?? (await stack.createUser());
  const client = await PhxClient.open(options.url ?? broker, { ...options, token });
  client.userId = token;
  clients.add(client);
  return client;
}

/** A connected client that has joined `notifications`. */
async function member(options) {
  const client = await open(options);
  const reply = await client.join('notifications');
  assert.equal(reply[4].status, 'ok');
  return client;
}

const replyFrame = (joinRef, ref, topic, response, status = 'ok') => [
  joinRef,
  ref,
  topic,
  'phx_reply',
  { response, status },
];
const errorFrame = (joinRef, ref, topic, reason) => replyFrame(joinRef, ref, topic, { reason }, 'error');

test('Appendix B: a session of the real client, through the web server', async () => {
  const client = await open({
    url: stack.socketUrl,
    headers: { Origin: 'https://holoquest.hololivefanbooth.com' },
  });
  client.send(['3', '3', 'notifications', 'phx_join', {}]);
  assert.deepEqual(await client.next(), replyFrame('3', '3', 'notifications', {}));
  client.send(['3', '4', 'notifications', 'collected', { nickname: 'Cruel_KFP' }]);
  assert.deepEqual(await client.next(), [
    null,
    null,
    'notifications',
    'collected-broadcast',
    { nickname: 'Cruel_KFP' },
  ]);
  await stack.takoctlOk('ping');
  assert.deepEqual(await client.next(), [null, null, 'notifications', 'ping', { msg: 'ping' }]);
  client.send(['3', '5', 'notifications', 'pong', { body: 'pong' }]);
  await stack.takoctlOk('message', client.userId, 'Testiiing');
  assert.deepEqual(await client.next(), [
    '3',
    null,
    'notifications',
    'msg',
    { message: 'Testiiing', user_id: client.userId },
  ]);
  client.send([null, '6', 'phoenix', 'heartbeat', {}]);
  assert.deepEqual(await client.next(), replyFrame(null, '6', 'phoenix', {}));
});

test('C32, C33: a V1 session', async () => {
  const client = await open({ vsn: '1.0.0' });
  const say = (event, payload, ref, topic = 'notifications') => client.send({ topic, event, payload, ref });
  const reply = (ref, response = {}, status = 'ok', topic = 'notifications') => ({
    event: 'phx_reply',
    payload: { response, status },
    ref,
    topic,
  });
  say('phx_join', {}, '1');
  assert.deepEqual(await client.next(), reply('1'));
  say('collected', { nickname: 'a' }, '2');
  assert.deepEqual(await client.next(), {
    event: 'collected-broadcast',
    payload: { nickname: 'a' },
    ref: null,
    topic: 'notifications',
  });
  say('ping', [1, 2], '3');
  assert.deepEqual(await client.next(), reply('3', [1, 2]));
  say('heartbeat', {}, '4', 'phoenix');
  assert.deepEqual(await client.next(), reply('4', {}, 'ok', 'phoenix'));
  await stack.takoctlOk('message', client.userId, 'hi');
  assert.deepEqual(await client.next(), {
    event: 'msg',
    payload: { message: 'hi', user_id: client.userId },
    ref: null,
    topic: 'notifications',
  });
  say('phx_join', {}, '14', 'nosuch');
  assert.deepEqual(await client.next(), reply('14', { reason: 'unmatched topic' }, 'error', 'nosuch'));
  say('phx_leave', {}, '22');
  assert.deepEqual(await client.next(), reply('22'));
  assert.deepEqual(await client.next(), {
    event: 'phx_close',
    payload: {},
    ref: null,
    topic: 'notifications',
  });
});

test('C58, C172: a V1 close carries the join_ref that the V1 join brought', async () => {
  const client = await open({ vsn: '1.0.0' });
  const leave = { topic: 'notifications', event: 'phx_leave', payload: {}, ref: '22' };
  client.send({ topic: 'notifications', event: 'phx_join', payload: {}, ref: '20', join_ref: '20' });
  await client.next();
  client.send(leave); // without join_ref: must not count as stale (C55)
  assert.equal((await client.next()).ref, '22');
  const close = await client.next();
  assert.deepEqual([close.event, close.ref], ['phx_close', '20']);
});

test('C24: V1 and V2 clients share a topic, each in its own encoding', async () => {
  const old = await open({ vsn: '1.0.0' });
  old.send({ topic: 'notifications', event: 'phx_join', payload: {}, ref: '1' });
  await old.next();
  const modern = await member();
  modern.push('notifications', 'shout', { from: 'v2' });
  assert.deepEqual(await old.until((frame) => frame.event === 'shout'), {
    event: 'shout',
    payload: { from: 'v2' },
    ref: null,
    topic: 'notifications',
  });
  old.send({ topic: 'notifications', event: 'shout', payload: { from: 'v1' }, ref: '2' });
  assert.deepEqual(await modern.until((frame) => frame[4].from === 'v1'), [
    null,
    null,
    'notifications',
    'shout',
    { from: 'v1' },
  ]);
});

test('C20, C41: a heartbeat is answered in every state, whatever it carries', async () => {
  const client = await open();
  client.send([null, '9', 'phoenix', 'heartbeat', {}]);
  assert.deepEqual(await client.next(), replyFrame(null, '9', 'phoenix', {}));
  await client.join('notifications');
  client.send(['77', '10', 'phoenix', 'heartbeat', [1]]);
  assert.deepEqual(await client.next(), replyFrame(null, '10', 'phoenix', {}));
  client.send([null, '11', 'phoenix', 'other', {}]);
  assert.deepEqual(await client.next(), errorFrame(null, '11', 'phoenix', 'unmatched topic'));
});

table(
  'C25: refs are echoed exactly as sent',
  ['"5"', '5', '-1', '1.5', 'null', '"\\u00e9\\n\u{1f419}"', '""', `"${'r'.repeat(200)}"`],
  (ref) => ref.slice(0, 30),
  async (ref) => {
    const client = await open();
    client.sendRaw(`[${ref},${ref},"notifications","phx_join",{}]`);
    assert.deepEqual(await client.next(), replyFrame(JSON.parse(ref), JSON.parse(ref), 'notifications', {}));
    client.sendRaw(`[${ref},${ref},"notifications","ping",{"n":1}]`);
    const reply = await client.next();
    assert.deepEqual(reply.slice(0, 2), [JSON.parse(ref), JSON.parse(ref)]);
  },
);

test('C25, C55: a number is not the string of its digits', async () => {
  const client = await open();
  client.send(['3', '3', 'notifications', 'phx_join', {}]);
  await client.next();
  client.send([3, '4', 'notifications', 'ping', { stale: true }]);
  client.send(['3', '5', 'notifications', 'ping', { stale: false }]);
  assert.deepEqual(await client.next(), replyFrame('3', '5', 'notifications', { stale: false }));
});

table(
  'C26, C90: any JSON value is a payload',
  ['null', '[]', '[1,[2]]', '"text"', '7', 'true', '{}'],
  (payload) => payload,
  async (payload) => {
    const client = await open();
    client.sendRaw(`["1","1","notifications","phx_join",${payload}]`);
    assert.deepEqual(await client.next(), replyFrame('1', '1', 'notifications', {}));
    client.sendRaw(`["1","2","notifications","ping",${payload}]`);
    assert.deepEqual(await client.next(), replyFrame('1', '2', 'notifications', JSON.parse(payload)));
  },
);

test('C28: blanks around and between are fine, of duplicate keys the last wins', async () => {
  const client = await open();
  client.sendRaw(' \n[ "1" ,\t"1", "notifications" , "phx_join" , { } ]\r\n ');
  assert.deepEqual(await client.next(), replyFrame('1', '1', 'notifications', {}));
  client.sendRaw('["1","2","notifications","collected",{"nickname":"first","nickname":"last"}]');
  assert.deepEqual((await client.next())[4], { nickname: 'last' });
  client.sendRaw(`["1","3","notifications","ping",${'['.repeat(60)}${']'.repeat(60)}]`);
  assert.equal((await client.next())[4].status, 'ok', 'depth of at least 64');
});

test('C29: a relayed payload keeps every byte of its values', async () => {
  const [sender, other] = [await member(), await member()];
  const payload =
    '{"big":123456789012345678901234567890,"float":1.0,"exp":1E+2,"neg":-0,"escaped":"\\u00e9\\/\\ud83d\\ude00",' +
    '"raw":"\u00e9\u{1f419}","":{"nested":[null,true,{"a":[]}]}}';
  sender.sendRaw(`["1","2","notifications","shout",${payload}]`);
  for (const client of [sender, other]) {
    const text = await client.nextText();
    assert.ok(text.includes(payload), text);
  }
});

const V1_OBJECT = { topic: 'notifications', event: 'ping', payload: {}, ref: '1' };
const without = (key) => JSON.stringify({ ...V1_OBJECT, [key]: undefined });

table(
  'C28, C30-C32: a malformed message closes with 1011',
  [
    ['2.0.0', 'empty', ''],
    ['2.0.0', 'blanks', '  '],
    ['2.0.0', 'not JSON', 'hello'],
    ['2.0.0', 'an object', '{}'],
    ['2.0.0', 'four elements', '["1","1","notifications","phx_join"]'],
    ['2.0.0', 'trailing bytes', '["1","1","notifications","phx_join",{}]x'],
    ['2.0.0', 'truncated', '["1","1","notifications","phx_join",{'],
    ['2.0.0', 'lone surrogate', '["1","1","notifications","ping",{"a":"\\ud800"}]'],
    ['2.0.0', '1e999', '["1","1","notifications","ping",{"a":1e999}]'],
    ['2.0.0', 'non-string event', '["1","1","notifications",5,{}]'],
    ['2.0.0', 'object as ref', '["1",{},"notifications","ping",{}]'],
    ['2.0.0', 'ref over 255 bytes', `["1","${'r'.repeat(300)}","notifications","ping",{}]`],
    [
      '2.0.0',
      'depth 100,000',
      `["1","1","notifications","ping",${'['.repeat(100_000)}${']'.repeat(100_000)}]`,
    ],
    ['1.0.0', 'a V2 array', '["1","1","notifications","phx_join",{}]'],
    ['1.0.0', 'no topic', without('topic')],
    ['1.0.0', 'no event', without('event')],
    ['1.0.0', 'no payload', without('payload')],
    ['1.0.0', 'no ref', without('ref')],
  ],
  ([vsn, name]) => `V${vsn[0]} ${name}`,
  async ([vsn, , text]) => {
    const client = await open({ vsn });
    client.sendRaw(text);
    assert.equal((await client.closed()).code, 1011);
    assert.deepEqual(client.frames, []);
  },
);

test('C31: elements beyond the fifth are ignored, a non-string topic is an unknown one', async () => {
  const client = await open();
  client.sendRaw('["1","1","notifications","phx_join",{},"more",[]]');
  assert.deepEqual(await client.next(), replyFrame('1', '1', 'notifications', {}));
  client.sendRaw('[null,"2",5,"phx_join",{}]');
  assert.deepEqual(await client.next(), errorFrame(null, '2', 5, 'unmatched topic'));
});

test('C36, C37, C90, C91: binary pushes, replies and broadcasts', async () => {
  const [client, other] = [await open(), await member()];
  client.send(['3', '3', 'notifications', 'phx_join', {}]);
  await client.next();
  const binaryPush = (event, payload) =>
    Buffer.concat([
      Buffer.from([0, 1, 1, 13, event.length]),
      Buffer.from(`37notifications${event}`),
      Buffer.from(payload),
    ]);
  client.sendRaw(binaryPush('ping', [1, 2, 3]));
  assert.equal((await client.next()).toString('hex'), '0101010d0233376e6f74696669636174696f6e736f6b010203');
  client.sendRaw(binaryPush('shout', [1, 2]));
  for (const each of [client, other]) {
    assert.equal((await each.next()).toString('hex'), '020d056e6f74696669636174696f6e7373686f75740102');
  }
});

test('C39: heartbeat, join and leave in binary frames are answered in text', async () => {
  const client = await open();
  const binary = (topic, event, payload = '') =>
    Buffer.concat([Buffer.from([0, 1, 1, topic.length, event.length]), Buffer.from(`12${topic}${event}${payload}`)]);
  client.sendRaw(binary('phoenix', 'heartbeat'));
  assert.deepEqual(await client.next(), replyFrame(null, '2', 'phoenix', {}));
  client.sendRaw(binary('notifications', 'phx_join', '\x00'));
  assert.deepEqual(await client.next(), replyFrame('1', '2', 'notifications', {}));
  client.sendRaw(binary('notifications', 'phx_leave'));
  assert.deepEqual(await client.next(), replyFrame('1', '2', 'notifications', {}));
  assert.deepEqual(await client.next(), ['1', '1', 'notifications', 'phx_close', {}]);
});

table(
  'C38: malformed binary messages close with 1011',
  [
    ['empty', []],
    ['kind of the server', [1, 1, 1, 1, 1, 0x33, 0x37, 0x74, 0x65]],
    ['lengths beyond the end', [0, 1, 1, 200, 4, 0x33, 0x37, 0x74]],
    ['JSON with the binary opcode', Buffer.from('["1","1","notifications","phx_join",{}]')],
    ['invalid UTF-8 in the topic', [0, 0, 0, 2, 1, 0xc0, 0xaf, 0x65]],
  ],
  ([name]) => name,
  async ([, bytes]) => {
    const client = await open();
    client.sendRaw(Buffer.from(bytes));
    assert.equal((await client.closed()).code, 1011);
  },
);

test('C34: a binary broadcast skips V1 members and harms nobody', async () => {
  const old = await open({ vsn: '1.0.0' });
  old.send({ topic: 'notifications', event: 'phx_join', payload: {}, ref: '1' });
  await old.next();
  const client = await member();
  client.sendRaw(Buffer.from('\x00\x01\x01\x0d\x0517notificationsshout\xff', 'latin1'));
  assert.ok(Buffer.isBuffer(await client.next()));
  client.push('notifications', 'shout', { after: true });
  assert.deepEqual((await old.next()).payload, { after: true });
});

test('C44, C54: unknown topics and messages without a join', async () => {
  const client = await open();
  client.send(['9', '9', 'notifications:lobby', 'phx_join', {}]);
  assert.deepEqual(await client.next(), errorFrame(null, '9', 'notifications:lobby', 'unmatched topic'));
  client.send(['9', '7', 'notifications', 'collected', {}]);
  assert.deepEqual(await client.next(), errorFrame(null, '7', 'notifications', 'unmatched topic'));
  client.send([null, null, 'notifications', 'collected', {}]);
  assert.deepEqual(await client.next(), errorFrame(null, null, 'notifications', 'unmatched topic'));
  client.send(['9', '8', 'notifications', 'phx_leave', {}]);
  assert.deepEqual(await client.next(), replyFrame('9', '8', 'notifications', {}));
});

test('C79: nobody joins the topic that disconnects users', async () => {
  const client = await open();
  const topic = `user_socket:${client.userId}`;
  client.send(['1', '1', topic, 'phx_join', {}]);
  assert.deepEqual(await client.next(), errorFrame(null, '1', topic, 'unmatched topic'));
});

test('C50: joining again ends the old channel first', async () => {
  const client = await open();
  client.send(['1', '1', 'notifications', 'phx_join', {}]);
  await client.next();
  client.send(['2', '2', 'notifications', 'phx_join', {}]);
  assert.deepEqual(await client.next(), ['1', '1', 'notifications', 'phx_close', {}]);
  assert.deepEqual(await client.next(), replyFrame('2', '2', 'notifications', {}));
  client.send(['2', '3', 'notifications', 'shout', { once: true }]);
  assert.deepEqual(await client.next(), [null, null, 'notifications', 'shout', { once: true }]);
  client.send(['2', '4', 'notifications', 'ping', {}]);
  assert.deepEqual(await client.next(), replyFrame('2', '4', 'notifications', {}), 'not twice');
});

test('C51, C63: a join with null join_ref', async () => {
  const client = await open();
  client.send([null, '5', 'notifications', 'phx_join', {}]);
  assert.deepEqual(await client.next(), replyFrame(null, '5', 'notifications', {}));
  client.send([null, '6', 'notifications', 'ping', { n: 1 }]);
  assert.deepEqual(await client.next(), replyFrame('5', '6', 'notifications', { n: 1 }));
  client.send(['other', '7', 'notifications', 'ping', { n: 2 }]);
  assert.deepEqual(await client.next(), replyFrame('5', '7', 'notifications', { n: 2 }));
  await stack.takoctlOk('message', client.userId, 'x');
  assert.deepEqual((await client.next()).slice(0, 4), ['5', null, 'notifications', 'msg']);
  client.send([null, '8', 'notifications', 'phx_leave', {}]);
  assert.deepEqual(await client.next(), replyFrame('5', '8', 'notifications', {}));
  assert.deepEqual(await client.next(), [null, null, 'notifications', 'phx_close', {}]);
});

test('C52: replies carry the ref of the message, null included', async () => {
  const client = await open();
  client.send(['1', '1', 'notifications', 'phx_join', {}]);
  await client.next();
  client.send(['1', null, 'notifications', 'ping', { a: 1 }]);
  assert.deepEqual(await client.next(), replyFrame('1', null, 'notifications', { a: 1 }));
});

test('C55, C172: stale messages are dropped, a null join_ref is not stale', async () => {
  const client = await open();
  client.send(['1', '1', 'notifications', 'phx_join', {}]);
  await client.next();
  client.send(['0', '2', 'notifications', 'shout', { stale: true }]);
  client.send(['0', '3', 'notifications', 'phx_leave', {}]);
  client.send([null, '4', 'notifications', 'ping', {}]);
  assert.deepEqual(await client.next(), replyFrame('1', '4', 'notifications', {}));
});

test('C58: leave answers, closes, and frees the topic', async () => {
  const client = await open();
  client.send(['1', '1', 'notifications', 'phx_join', {}]);
  await client.next();
  client.send(['1', '2', 'notifications', 'phx_leave', {}]);
  assert.deepEqual(await client.next(), replyFrame('1', '2', 'notifications', {}));
  assert.deepEqual(await client.next(), ['1', '1', 'notifications', 'phx_close', {}]);
  const other = await member();
  other.push('notifications', 'shout', { missed: true });
  await other.settle();
  client.send(['1', '3', 'notifications', 'phx_leave', {}]);
  assert.deepEqual(await client.next(), replyFrame('1', '3', 'notifications', {}), 'and no shout');
});

test('C59: leave and join back to back are answered in order', async () => {
  const client = await open();
  client.send(['1', '1', 'notifications', 'phx_join', {}]);
  await client.next();
  client.send(['1', '2', 'notifications', 'phx_leave', {}]);
  client.send(['3', '3', 'notifications', 'phx_join', {}]);
  client.send(['3', '4', 'notifications', 'ping', { joined: true }]);
  assert.deepEqual(await client.next(), replyFrame('1', '2', 'notifications', {}));
  assert.deepEqual(await client.next(), ['1', '1', 'notifications', 'phx_close', {}]);
  assert.deepEqual(await client.next(), replyFrame('3', '3', 'notifications', {}));
  assert.deepEqual(await client.next(), replyFrame('3', '4', 'notifications', { joined: true }));
});

test('C43, C49, C66, C72: what is sent right behind a join waits for it and keeps its order', async () => {
  const client = await open();
  client.send(['3', '3', 'notifications', 'phx_join', {}]);
  for (let i = 4; i < 24; i++) client.send(['3', String(i), 'notifications', 'ping', { i }]);
  assert.deepEqual(await client.next(), replyFrame('3', '3', 'notifications', {}));
  for (let i = 4; i < 24; i++) {
    assert.deepEqual(await client.next(), replyFrame('3', String(i), 'notifications', { i }));
  }
});

test('C65: a broadcast precedes the reply to the message behind it', async () => {
  const client = await member();
  for (let i = 0; i < 50; i++) {
    client.push('notifications', 'shout', { i });
    client.push('notifications', 'ping', { i });
  }
  for (let i = 0; i < 50; i++) {
    assert.deepEqual((await client.next())[4], { i });
    assert.deepEqual((await client.next())[4], { response: { i }, status: 'ok' });
  }
});

test('C69: a broadcast reaches the sender, his other connections, and everybody else', async () => {
  const sender = await member();
  const twin = await member({ token: sender.userId });
  const other = await member();
  sender.push('notifications', 'shout', { to: 'all' });
  for (const client of [sender, twin, other]) {
    assert.deepEqual(await client.next(), [null, null, 'notifications', 'shout', { to: 'all' }]);
  }
  assert.deepEqual(await sender.settle(), [], 'once');
});

test('C68, C168: who is away misses what was said, in silence', async () => {
  const [speaker, away] = [await member(), await member()];
  await away.leave();
  speaker.push('notifications', 'shout', { while: 'away' });
  await stack.takoctlOk('message', away.userId, 'while away');
  await speaker.settle();
  const back = await member({ token: away.userId });
  assert.deepEqual(await back.settle(), []);
  speaker.push('notifications', 'shout', { after: 'all' });
  assert.deepEqual((await back.next())[4], { after: 'all' });
});

test('C80: disconnect closes every connection of the user with 1001, and nothing else', async () => {
  const victim = await member();
  const twin = await open({ token: victim.userId, vsn: '1.0.0' });
  const bystander = await member();
  await stack.takoctlOk('disconnect', victim.userId.toUpperCase());
  for (const client of [victim, twin]) assert.equal((await client.closed()).code, 1001);
  assert.equal(victim.frames.length, 1, 'the join reply only: no frames for channels before the close');
  assert.deepEqual(await bystander.settle(), []);
  assert.equal(await connectStatus(broker, { token: victim.userId }), 101, 'he may come back');
});

test('C86: a deleted user is disconnected and refused', async () => {
  const client = await member();
  await stack.sql(`delete from users where id = '${client.userId}'`);
  await stack.publish('tako:users', { event: 'deleted', id: client.userId });
  assert.equal((await client.closed()).code, 1001);
  assert.equal(await connectStatus(broker, { token: client.userId }), 403);
});

table(
  'C87-C92: what reaches every member',
  [
    [
      'C88 collected',
      'collected',
      { nickname: 'Cruel_KFP', x: 1 },
      'collected-broadcast',
      { nickname: 'Cruel_KFP' },
    ],
    ['C87 any nickname value', 'collected', { nickname: null }, 'collected-broadcast', { nickname: null }],
    [
      'C87 an object as nickname',
      'collected',
      { nickname: { a: [1] } },
      'collected-broadcast',
      { nickname: { a: [1] } },
    ],
    [
      'C89 rally-completed',
      'rally-completed',
      { nickname: 'Cruel_KFP' },
      'rally-completed',
      { nickname: 'Cruel_KFP' },
    ],
    ['C91 shout', 'shout', { hello: 'all' }, 'shout', { hello: 'all' }],
    ['C91 empty shout', 'shout', {}, 'shout', {}],
  ],
  ([name]) => name,
  async ([, event, payload, broadcastEvent, broadcastPayload]) => {
    const [sender, other] = [await member(), await member()];
    sender.push('notifications', event, payload);
    for (const client of [sender, other]) {
      assert.deepEqual(await client.next(), [null, null, 'notifications', broadcastEvent, broadcastPayload]);
    }
    assert.deepEqual(await sender.settle(), [], 'no reply (C87)');
  },
);

test('C53, C92: pong is taken in silence', async () => {
  const [client, other] = [await member(), await member()];
  client.push('notifications', 'pong', { body: 'pong' });
  client.push('notifications', 'pong', null);
  assert.deepEqual(await client.settle(), []);
  assert.deepEqual(await other.settle(), []);
});

table(
  'C56, C57, C93 as design.md has them: an error reply, and the channel lives',
  [
    ['msg', { user_id: 'x', message: 'y' }, 'unknown event'],
    ['message', { body: 'debug helper' }, 'unknown event'],
    ['anything', {}, 'unknown event'],
    ['collected-broadcast', { nickname: 'a' }, 'unknown event'],
    ['phx_reply', {}, 'unknown event'],
    ['phx_error', {}, 'unknown event'],
    ['phx_close', {}, 'unknown event'],
    ['heartbeat', {}, 'unknown event'],
    ['collected', {}, 'invalid payload'],
    ['collected', null, 'invalid payload'],
    ['collected', [{ nickname: 'a' }], 'invalid payload'],
    ['rally-completed', 'a', 'invalid payload'],
    ['shout', [1], 'invalid payload'],
    ['shout', 'text', 'invalid payload'],
    ['shout', 5, 'invalid payload'],
    ['shout', null, 'invalid payload'],
  ],
  ([event, payload]) => `${event} ${JSON.stringify(payload)}`,
  async ([event, payload, reason]) => {
    const [client, other] = [await member(), await member()];
    assert.deepEqual(await client.call('notifications', event, payload), {
      response: { reason },
      status: 'error',
    });
    assert.deepEqual(await client.settle(), [], 'still joined');
    assert.deepEqual(await other.settle(), [], 'nobody else hears of it');
  },
);

test('design.md: binary collected is an unusable payload', async () => {
  const client = await member();
  client.sendRaw(Buffer.from('\x00\x01\x01\x0d\x0919notificationscollected\x01', 'latin1'));
  assert.deepEqual(await client.next(), errorFrame('1', '9', 'notifications', 'invalid payload'));
});

test('C94: msg reaches all connections of its user and nobody else, with the whole payload', async () => {
  const user = await member();
  const twin = await open({ token: user.userId.toUpperCase() }); // C85: the same user
  await twin.join('notifications');
  const stranger = await member();
  const notJoined = await open({ token: user.userId });
  const payload = { user_id: user.userId, message: 'only you', extra: { n: 1 } };
  await stack.publish('tako:topic:notifications', [null, null, 'notifications', 'msg', payload]);
  for (const client of [user, twin]) {
    assert.deepEqual(await client.next(), ['1', null, 'notifications', 'msg', payload]);
  }
  await stack.takoctlOk('ping'); // a fence: what comes after msg
  assert.equal((await stranger.next())[3], 'ping');
  assert.deepEqual(notJoined.frames, []);
});

test('C95: msg without a usable user_id reaches nobody and harms nobody', async () => {
  const client = await member();
  for (const payload of [{}, { user_id: null }, { user_id: 'me' }, { user_id: 5, message: 'x' }]) {
    await stack.publish('tako:topic:notifications', [null, null, 'notifications', 'msg', payload]);
  }
  await stack.takoctlOk('ping');
  assert.deepEqual(await client.next(), [null, null, 'notifications', 'ping', { msg: 'ping' }]);
});

test('C48: too many channels', async () => {
  // One topic per channel is needed, and `notifications` is exact: the limit shows with room:*.
  const client = await open();
  for (let i = 1; i <= 5; i++) assert.equal((await client.join(`room:limit-${i}`))[4].status, 'ok');
  client.send(['90', '90', 'notifications', 'phx_join', {}]);
  assert.deepEqual(
    await client.until((frame) => frame[1] === '90'),
    errorFrame('90', '90', 'notifications', 'too many channels joined'),
  );
  assert.equal((await client.join('room:limit-1'))[4].status, 'ok', 'a rejoin is not counted twice');
  assert.equal((await client.call('room:limit-2', 'phx_leave')).status, 'ok');
  assert.equal((await client.join('notifications'))[4].status, 'ok', 'a leave frees its place');
});
