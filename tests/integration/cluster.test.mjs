// SPDX-License-Identifier: MIT
/*
 * Several brokers with several workers as one: delivery between them, the operator's command, foreign
 * publishers, and messages on the Redis link that nobody should send (channels.md C65-C69, C79-C80,
 * C94-C97, C174; common/envelope.h; design.md).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connectStatus } from '../support/phx.mjs';
import { Crowd } from '../support/crowd.mjs';
import { startStack } from '../support/stack.mjs';
import { after, table, test } from '../support/testing.mjs';

const stack = await startStack({ brokers: 2, workers: 2 });
const crowd = new Crowd(stack);
after(() => crowd.dismiss());

const BROADCAST = (nickname) => [null, null, 'notifications', 'collected-broadcast', { nickname }];

test('every worker of every broker has clients', async () => {
  await crowd.gather();
  const nodes = await stack.nodes();
  assert.equal(nodes.length, 4);
  assert.equal(new Set(nodes.map((node) => node.pid)).size, 4);
});

test('C67, C75: collected reaches every member on all workers once, in the order of its publisher', async () => {
  const rounds = 30;
  const publishers = [crowd.members[0], crowd.members.at(-1)]; // on different brokers
  for (const [who, publisher] of publishers.entries()) {
    for (let i = 0; i < rounds; i++) {
      publisher.push('notifications', 'collected', { nickname: `${who}-${i}` });
    }
  }
  for (const member of crowd.members) {
    const seen = [[], []];
    while (seen[0].length + seen[1].length < 2 * rounds) {
      const frame = await member.next();
      assert.deepEqual(frame, BROADCAST(frame[4].nickname));
      const [who, i] = frame[4].nickname.split('-').map(Number);
      seen[who].push(i);
    }
    const expected = Array.from({ length: rounds }, (_, i) => i);
    assert.deepEqual(seen, [expected, expected]);
  }
  await crowd.assertQuiet();
});

test('a publish right behind the first join of a worker is not missed (C43)', async () => {
  // The topic is new to all workers each time, so that each join can be the first one of its worker.
  const [publisher, ...others] = await crowd.connectEverywhere(await stack.createUser());
  for (let round = 0; round < 10; round++) {
    const topic = `room:first-${randomBytes(4).toString('hex')}`;
    await publisher.join(topic);
    for (const [n, other] of others.entries()) {
      await other.join(topic);
      publisher.push(topic, 'shout', { n });
      await other.until((frame) => frame[2] === topic && frame[3] === 'shout' && frame[4].n === n);
    }
    for (const each of [publisher, ...others]) await each.call(topic, 'phx_leave');
  }
  for (const each of [publisher, ...others]) await each.leave();
});

test('C80: disconnect reaches a user on every broker', async () => {
  const token = await stack.createUser();
  const connections = await crowd.connectEverywhere(token);
  await stack.takoctlOk('disconnect', token);
  for (const connection of connections) assert.equal((await connection.closed()).code, 1001);
  for (const member of crowd.members) assert.ok(!member.isClosed);
});

test('C94: takoctl message reaches all connections of its user on every broker, nobody else', async () => {
  const token = await stack.createUser();
  const connections = await crowd.connectEverywhere(token);
  for (const connection of connections) await connection.join('notifications');
  await stack.takoctlOk('message', token.toUpperCase(), 'Testiiing');
  for (const connection of connections) {
    assert.deepEqual(await connection.next(), [
      '1',
      null,
      'notifications',
      'msg',
      { user_id: token, message: 'Testiiing' },
    ]);
  }
  await crowd.assertQuiet();
  for (const connection of connections) await connection.leave();
});

test('C96: takoctl ping reaches everybody once', async () => {
  await stack.takoctlOk('ping');
  await crowd.assertAllReceive([null, null, 'notifications', 'ping', { msg: 'ping' }]);
});

test('C97: takoctl broadcast reaches everybody and says how many workers heard it', async () => {
  const output = await stack.takoctlOk('broadcast', 'notifications', 'news', '{"big":12345678901234567890}');
  assert.equal(output, 'sent; 4 broker workers heard it\n');
  const text = '{"big":12345678901234567890}';
  for (const member of crowd.members) {
    assert.equal(await member.nextText(), `[null,null,"notifications","news",${text}]`, 'C29');
  }
  const nobody = await stack.takoctl('broadcast', 'room:empty', 'news', '{}');
  assert.equal(nobody.code, 0);
  assert.match(nobody.stdout, /^sent, but no broker worker heard it/);
});

table(
  'takoctl: what is wrong on the command line is a usage error (2) and reaches nobody',
  [
    [],
    ['nonsense'],
    ['broadcast'],
    ['broadcast', 'notifications'],
    ['broadcast', 'notifications', 'news', 'not json'],
    ['broadcast', 'notifications', 'news', '[1]'],
    ['broadcast', 'notifications', 'news', '{"a":1}trailing'],
    ['broadcast', '', 'news', '{}'],
    ['broadcast', 'notifications', '', '{}'],
    ['broadcast', 'notifications', 'e'.repeat(256), '{}'],
    ['broadcast', 'notifications', 'line\nbreak', '{}'],
    ['broadcast', 'notifications', 'news', '{}', 'more'],
    ['message', 'not-a-uuid', 'hello'],
    ['message'],
    ['disconnect', 'not-a-uuid'],
    ['user', 'show', 'not-a-uuid'],
    ['nodes', '--nonsense'],
  ],
  (args) => `takoctl ${args.join(' ').slice(0, 60)}`,
  async (args) => {
    const { code, stderr } = await stack.takoctl(...args);
    assert.equal(code, 2);
    assert.notEqual(stderr, '');
    await crowd.assertQuiet();
  },
);

test('takoctl without Redis says where it looked and what to do', async () => {
  const env = { ...stack.operatorEnv, REDIS_URL: `unix://${stack.dir}/nothing.sock` };
  const { code, stderr } = await stack.takoctlWith(env, 'ping');
  assert.equal(code, 1);
  assert.match(stderr, /nothing\.sock/);
  assert.match(stderr, /REDIS_URL/);
});

test('takoctl explains itself', async () => {
  for (const args of [['--help'], ['broadcast', '--help'], ['nodes', '--help']]) {
    const { code, stdout } = await stack.takoctl(...args);
    assert.equal(code, 0);
    assert.match(stdout, /takoctl/);
  }
});

test('takoctl nodes: one entry per worker with its connections', async () => {
  const nodes = await stack.nodes();
  for (const node of nodes) {
    assert.equal(node.state, 'up');
    assert.equal(typeof node.pid, 'number');
    assert.ok(stack.brokerPorts.includes(node.port), String(node.port));
  }
  const total = nodes.reduce((sum, node) => sum + node.connections, 0);
  assert.ok(total >= crowd.members.length, `${total} of ${crowd.members.length}`);
  const table = await stack.takoctlOk('nodes');
  for (const node of nodes) assert.ok(table.includes(String(node.pid)));
});

test('takoctl user: create, show, set; brokers hear of it', async () => {
  const events = await stack.subscribe('tako:users');
  const created = await stack.takoctlOk('user', 'create', '--nickname', 'Operator_Made', '--stamps', '2');
  const [id] = created.match(/[0-9a-f]{8}-[0-9a-f-]{27}/);
  assert.deepEqual(await events.until(), {
    event: 'created',
    id,
    nickname: 'Operator_Made',
    stamps_collected: 2,
  });
  await stack.takoctlOk('user', 'set', id, '--stamps', '5');
  assert.equal((await events.until()).stamps_collected, 5);
  assert.match(await stack.takoctlOk('user', 'show', id), /Operator_Made[^]*5/);
  const tooShort = await stack.takoctl('user', 'set', id, '--nickname', 'ab');
  assert.equal(tooShort.code, 2);
  assert.match(tooShort.stderr, /length must be between 3 and 24 characters/);
  const unknown = await stack.takoctl('user', 'show', '00000000-0000-4000-8000-000000000000');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /no such user/);
  assert.equal(await connectStatus(stack.brokerUrls[1], { token: id }), 101);
});

test('a foreign publisher needs nothing but a Redis client (design.md)', async () => {
  const heard = await stack.redis([
    'PUBLISH',
    'tako:topic:notifications',
    '[null,null,"notifications","shout",{"hello":"all"}]',
  ]);
  assert.equal(heard, '4');
  await crowd.assertAllReceive([null, null, 'notifications', 'shout', { hello: 'all' }]);
});

table(
  'C174: malformed messages on the link are dropped and harm nobody',
  [
    ['tako:topic:notifications', ''],
    ['tako:topic:notifications', 'hello'],
    ['tako:topic:notifications', '{}'],
    ['tako:topic:notifications', '[null,null,"notifications","shout"]'],
    ['tako:topic:notifications', '[null,null,"notifications","shout",null]'],
    ['tako:topic:notifications', '[null,null,"notifications","shout",[1]]'],
    ['tako:topic:notifications', '[null,null,"notifications",5,{}]'],
    ['tako:topic:notifications', '[null,null,"room:other","shout",{}]'],
    ['tako:topic:notifications', '[{},null,"notifications","shout",{}]'],
    ['tako:topic:notifications', '[null,null,"notifications","shout",{"a":"\\ud800"}]'],
    [
      'tako:topic:notifications',
      `[null,null,"notifications","shout",{"a":${'['.repeat(5000)}${']'.repeat(5000)}}]`,
    ],
    ['tako:topic:notifications', '\u0000\u0005\u0005\u0005'],
    ['tako:topic:notifications', Buffer.from([0, 0, 0, 200, 5, 0xff, 0xfe])],
    ['tako:users', 'hello'],
    ['tako:users', '{}'],
    ['tako:users', '{"event":"disconnect"}'],
    ['tako:users', '{"event":"disconnect","id":"not-a-uuid"}'],
    ['tako:users', '{"event":"deleted","id":5}'],
    ['tako:users', '{"event":"nonsense","id":"00000000-0000-4000-8000-000000000000"}'],
    ['tako:users', '[]'],
    ['tako:nodes', 'hello'],
    ['tako:nodes', '{"node":5}'],
  ],
  ([channel, message]) => `${channel} ${JSON.stringify(String(message)).slice(0, 60)}`,
  async ([channel, message]) => {
    const pids = (await stack.nodes()).map((node) => node.pid).sort();
    await stack.publish(channel, message);
    await crowd.assertQuiet();
    assert.deepEqual((await stack.nodes()).map((node) => node.pid).sort(), pids);
  },
);
