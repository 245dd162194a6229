// SPDX-License-Identifier: MIT
/*
 * The unmodified npm clients: 1.7.6, which the deployed page locks, and the newest. What they must be
 * able to do, and that they come back by themselves from everything a server may do to them
 * (channels.md C14, C15, C20, C70-C74, C80-C83, C98, Appendix D).
 */
import assert from 'node:assert/strict';
import { PHOENIX, PhoenixUser, outcome } from '../support/phoenix.mjs';
import { isRunning } from '../support/proc.mjs';
import { startStack } from '../support/stack.mjs';
import { after, eventually, test } from '../support/testing.mjs';

const CLIENTS = { '1.7.6': PHOENIX['1.7.6'], latest: PHOENIX.latest };

const stack = await startStack({ brokers: 2, env: { TAKO_DRAIN_MS: '500' } });
after(() => PhoenixUser.endAll());

for (const [version, Socket] of Object.entries(CLIENTS)) {
  const enter = async (url = stack.socketUrl, options) => {
    const user = new PhoenixUser(Socket, url, await stack.createUser(), options);
    assert.deepEqual(await user.enter(), { status: 'ok', response: {} });
    return user;
  };

  test(`phoenix ${version}: join, ping, broadcasts between brokers, leave (C98)`, async () => {
    const [one, two] = [await enter(stack.brokerUrls[0]), await enter(stack.brokerUrls[1])];
    assert.deepEqual(await outcome(one.push('ping', { hello: 'there' })), {
      status: 'ok',
      response: { hello: 'there' },
    });

    one.push('collected', { nickname: `Cruel_${version}` });
    two.push('rally-completed', { nickname: `Calm_${version}` });
    two.push('shout', { hello: version });
    for (const user of [one, two]) {
      await user.sees('collected-broadcast', { nickname: `Cruel_${version}` });
      await user.sees('rally-completed', { nickname: `Calm_${version}` });
      await user.sees('shout', { hello: version });
      assert.equal(user.events.length, 3, 'each once');
    }

    assert.equal((await outcome(two.channel.leave())).status, 'ok');
    one.push('shout', { after: 'leave' });
    await one.sees('shout', { after: 'leave' });
    assert.equal(two.events.length, 3);
    one.end();
  });

  test(`phoenix ${version}: msg reaches one user only, server ping everybody (C94, C96)`, async () => {
    const [one, two] = [await enter(), await enter()];
    await stack.takoctlOk('message', one.token, 'Testiiing');
    await one.sees('msg', { user_id: one.token, message: 'Testiiing' });
    await stack.takoctlOk('ping');
    for (const user of [one, two]) await user.sees('ping', { msg: 'ping' });
    assert.equal(two.count('msg'), 0);
    assert.deepEqual([one.count('ping'), two.count('ping')], [1, 1]);
  });

  test(`phoenix ${version}: error replies leave the channel joined (design.md)`, async () => {
    const user = await enter();
    for (const [event, payload, reason] of [
      ['message', { body: 'debug' }, 'unknown event'],
      ['collected', {}, 'invalid payload'],
    ]) {
      assert.deepEqual(await outcome(user.push(event, payload)), {
        status: 'error',
        response: { reason },
      });
    }
    assert.equal((await outcome(user.push('ping', {}))).status, 'ok');
    assert.equal(user.joins, 1);
  });

  test(`phoenix ${version}: a refused join is told as one (C44)`, async () => {
    const user = new PhoenixUser(Socket, stack.socketUrl, await stack.createUser());
    assert.deepEqual(await user.enter('notifications:lobby'), {
      status: 'error',
      response: { reason: 'unmatched topic' },
    });
    user.end();
  });

  test(`phoenix ${version}: heartbeats are answered in time (C20)`, async () => {
    const user = await enter(stack.socketUrl, { heartbeatIntervalMs: 100 });
    let beats = 0;
    user.socket.onMessage((message) => {
      if (message.topic === 'phoenix' && message.event === 'phx_reply') beats++;
    });
    await eventually('five heartbeats', () => beats >= 5);
    assert.deepEqual(user.closeCodes, []);
  });

  test(`phoenix ${version}: what was pushed before the join goes out after it (C72)`, async () => {
    const user = new PhoenixUser(Socket, stack.socketUrl, await stack.createUser());
    user.channel = user.socket.channel('notifications', {});
    const joined = user.channel.join();
    const pushes = Array.from({ length: 5 }, (_, i) => outcome(user.push('ping', { i })));
    user.socket.connect();
    assert.equal((await outcome(joined)).status, 'ok');
    for (const [i, each] of pushes.entries()) {
      assert.deepEqual(await each, { status: 'ok', response: { i } });
    }
  });

  test(`phoenix ${version}: back by itself after disconnect (C80)`, async () => {
    const user = await enter();
    await stack.takoctlOk('disconnect', user.token);
    await user.isBack([1001]);
  });

  test(`phoenix ${version}: back by itself after a drain (C81)`, async () => {
    const user = await enter(stack.brokerUrls[0]);
    await stack.control('restart', 'broker1');
    await user.isBack([1012]);
  });

  test(`phoenix ${version}: back by itself after its worker was killed (C165)`, async () => {
    const user = await enter(stack.brokerUrls[1]);
    const port = stack.brokerPorts[1];
    for (const node of await stack.nodes()) {
      if (node.port === port && isRunning(node.pid)) process.kill(node.pid, 'SIGKILL');
    }
    await user.isBack([1006]);
  });
}

test('phoenix latest: authToken instead of a parameter (C14, C15)', async () => {
  const token = await stack.createUser();
  const user = new PhoenixUser(PHOENIX.latest, stack.socketUrl, token, { authToken: token });
  assert.deepEqual(await user.enter(), { status: 'ok', response: {} });
  await stack.takoctlOk('message', token, 'for you');
  await user.sees('msg', { user_id: token, message: 'for you' });
});

test('phoenix 1.7.6 and latest understand each other', async () => {
  const tokens = await stack.createUsers(2);
  const [old, modern] = [
    new PhoenixUser(PHOENIX['1.7.6'], stack.brokerUrls[0], tokens[0]),
    new PhoenixUser(PHOENIX.latest, stack.brokerUrls[1], tokens[1]),
  ];
  for (const user of [old, modern]) await user.enter();
  old.push('collected', { nickname: 'Old' });
  await modern.sees('collected-broadcast', { nickname: 'Old' });
  modern.push('collected', { nickname: 'Modern' });
  await old.sees('collected-broadcast', { nickname: 'Modern' });
});
