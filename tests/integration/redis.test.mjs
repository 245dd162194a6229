// SPDX-License-Identifier: MIT
/*
 * The ways to a Redis: TCP, unix socket, password, ACL user, another database, TLS refused; and a
 * link that is alive but brings nothing (design.md, "The Redis link is a public interface").
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { HttpClient } from '../support/http.mjs';
import { PhxClient } from '../support/phx.mjs';
import { publicId, replay } from '../support/presence.mjs';
import { freePort, run } from '../support/proc.mjs';
import { startRedis, startWire } from '../support/redis.mjs';
import { TAKO_BIN, startStack } from '../support/stack.mjs';
import { eventually, table, test } from '../support/testing.mjs';

const READY_MS = 5000; // design.md: /readyz says 503 within 5 s
const SLACK_MS = 3000;
const PASSWORD = 'p@ss:w/rd';

/** What README.md tells operators to allow, and nothing else. */
const ACL_RULES = [
  'on', `>${PASSWORD}`, 'resetkeys', '~tako:*', 'resetchannels', '&tako:*', '-@all',
  '+ping', '+auth', '+select', '+subscribe', '+unsubscribe', '+publish', '+multi', '+exec', '+exists',
  '+hset', '+hget', '+hmget', '+hdel', '+hlen', '+hgetall', '+hscan', '+scan', '+del', '+pexpire', '+pttl',
];

const stack = await startStack();
const open = await startRedis({ port: await freePort() });
const locked = await startRedis({
  port: await freePort(),
  args: ['--requirepass', PASSWORD],
  login: ['--no-auth-warning', '-a', PASSWORD],
});
await locked.command('ACL', 'SETUSER', 'tako', ...ACL_RULES);

const encoded = encodeURIComponent(PASSWORD);

table(
  'two brokers meet in a Redis',
  [
    ['over TCP', open, `redis://127.0.0.1:${open.port}`, 0],
    ['over TCP, another database', open, `redis://127.0.0.1:${open.port}/3`, 3],
    ['over a unix socket', open, `unix://${open.socket}`, 0],
    ['over a unix socket, another database', open, `unix://${open.socket}?db=5`, 5],
    ['with a password', locked, `redis://:${encoded}@127.0.0.1:${locked.port}`, 0],
    ['as an ACL user that may do no more than it must', locked, `redis://tako:${encoded}@127.0.0.1:${locked.port}/2`, 2],
    ['as an ACL user over a unix socket', locked, `unix://tako:${encoded}@${locked.socket}?db=4`, 4],
  ],
  ([name]) => name,
  async ([, redis, url, db]) => {
    const env = { REDIS_URL: url, TAKO_NODE_LEASE_MS: '1000' };
    const brokers = [await stack.startBroker(env), await stack.startBroker(env)];
    const topic = `room:${randomBytes(6).toString('hex')}`;
    const clients = [];
    for (const broker of brokers) {
      const token = await stack.createUser();
      const client = await PhxClient.open(broker.url, { token });
      client.key = publicId(token);
      clients.push(client);
      assert.equal((await client.join(topic))[4].status, 'ok');
    }
    await eventually('each sees both', () => clients.every(({ frames }) => replay(frames).size === 2));
    clients[0].push(topic, 'shout', { n: 1 });
    await clients[1].until((frame) => frame[3] === 'shout' && frame[4].n === 1);
    assert.equal(await redis.command('-n', String(db), 'HLEN', `tako:presence:${topic}`), '2');
    const tool = { ...stack.operatorEnv, REDIS_URL: url };
    const listed = await stack.takoctlWith(tool, 'presence', topic, '--json');
    assert.deepEqual(Object.keys(JSON.parse(listed.stdout)).sort(), clients.map(({ key }) => key).sort());
    const nodes = JSON.parse((await stack.takoctlWith(tool, 'nodes', '--json')).stdout);
    assert.equal(nodes.length, 2);
    for (const client of clients) client.terminate();
    for (const broker of brokers) {
      assert.ok(!/refuse|WRONG|NOPERM/i.test(broker.log), broker.log);
      assert.ok(!broker.log.includes(PASSWORD) && !broker.log.includes(encoded));
      await broker.stop();
    }
    await eventually('no key is left', async () => {
      return (await redis.command('-n', String(db), 'DBSIZE')) === '0';
    }, 15_000);
  },
);

test('rediss:// is refused before anything starts, with what to do', async () => {
  const env = { ...stack.programEnv, REDIS_URL: `rediss://:${encoded}@127.0.0.1:6380` };
  for (const program of ['tako-broker', 'tako-api', 'takoctl']) {
    const { code, stdout, stderr } = await run(join(TAKO_BIN, program), ['--check-config'], { env });
    assert.equal(code, 2, `${program}: ${stdout}${stderr}`);
    assert.match(stderr, /REDIS_URL.*TLS/s);
    assert.ok(!(stdout + stderr).includes(encoded));
  }
});

const readyz = async (broker) => {
  const answer = await new HttpClient(`http://127.0.0.1:${broker.port}`).send('GET', '/readyz');
  return answer.status;
};

test('a subscription that brings nothing any more is noticed by the probe within 5 s', async () => {
  const wire = await startWire(open.socket);
  const broker = await stack.startBroker({ REDIS_URL: wire.url });
  wire.mute();
  await eventually('readyz is 503', async () => (await readyz(broker)) === 503, READY_MS + SLACK_MS);
  wire.mend();
  await eventually('readyz is 200', async () => (await readyz(broker)) === 200, 15_000);
  await broker.stop();
});
