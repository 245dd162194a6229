// SPDX-License-Identifier: MIT
/*
 * Brokers when something fails: a worker or a supervisor killed, Redis or PostgreSQL stopped, a
 * drain (design.md, "When parts fail"; channels.md C7, C67, C81-C83, C86).
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Crowd } from '../support/crowd.mjs';
import { HttpClient } from '../support/http.mjs';
import { PhxClient, connectStatus } from '../support/phx.mjs';
import { childrenOf, isRunning, whileFrozen } from '../support/proc.mjs';
import { RawConnection, upgradeRequest } from '../support/raw.mjs';
import { gone, startStack } from '../support/stack.mjs';
import { after, eventually, test, timed } from '../support/testing.mjs';

const LEASE_MS = 3000;
const DRAIN_MS = 2000;
const SLACK_MS = 3000;
const READY_MS = 5000; // design.md: /readyz says 503 within 5 s

const stack = await startStack({
  brokers: 2,
  workers: 2,
  env: { TAKO_NODE_LEASE_MS: String(LEASE_MS), TAKO_DRAIN_MS: String(DRAIN_MS) },
});
let crowd;
after(() => crowd?.dismiss());

/** A crowd that no earlier test has touched. */
async function freshCrowd() {
  crowd?.dismiss();
  crowd = new Crowd(stack);
  await crowd.gather();
  return crowd;
}

const httpUrl = (brokerUrl) => brokerUrl.replace('ws:', 'http:').replace('/socket', '');

/** What /readyz says, often enough on new connections to have asked every worker. */
async function readiness(brokerUrl) {
  const health = new HttpClient(httpUrl(brokerUrl));
  const answers = Array.from({ length: 12 }, () => health.send('GET', '/readyz'));
  return (await Promise.all(answers)).map((answer) => answer.status);
}

const everyReadyIs = (status) => async () => {
  const statuses = await Promise.all(stack.brokerUrls.map(readiness));
  return statuses.flat().every((each) => each === status);
};

/** Publishes until everybody has received something, and then something that nobody may miss. */
async function assertDeliversEverywhere(members) {
  const [publisher] = members;
  let attempt = 0;
  await eventually(
    'delivery to all workers',
    () => {
      publisher.push('notifications', 'shout', { attempt: ++attempt });
      return members.every((member) => member.pending().some((frame) => frame[4].attempt > 0));
    },
    15_000,
  );
  publisher.push('notifications', 'shout', { final: true });
  for (const member of members) await member.until((frame) => frame[4].final === true);
}

test('a killed worker loses its own clients only, is restarted, and its clients may return', async () => {
  const { members } = await freshCrowd();
  const victim = (await stack.nodes()).find((node) => node.connections > 0);
  process.kill(victim.pid, 'SIGKILL');
  await eventually('as many clients lost as the worker had', () => {
    return members.filter((member) => member.isClosed).length === victim.connections;
  });
  const lost = members.filter((member) => member.isClosed);
  const kept = members.filter((member) => !member.isClosed);
  for (const member of lost) {
    assert.equal(member.closeEvent.code, 1006);
    assert.equal(Number(new URL(member.brokerUrl).port), victim.port);
  }
  await eventually(
    'a new worker in its place, the old entry gone',
    async () => {
      const nodes = await stack.nodes();
      return nodes.length === 4 && nodes.every((node) => node.pid !== victim.pid && isRunning(node.pid));
    },
    LEASE_MS + 12_000,
  );
  const back = [];
  for (const member of lost) back.push(await crowd.member(member.brokerUrl));
  await assertDeliversEverywhere([...kept, ...back]);
});

test('workers die with a killed supervisor, and the stack starts the broker again', async () => {
  const { members } = await freshCrowd();
  const [supervisor] = stack.brokerPids;
  const [url] = stack.brokerUrls;
  const workers = childrenOf(supervisor);
  assert.equal(workers.length, 2);
  process.kill(supervisor, 'SIGKILL');
  await gone([supervisor, ...workers]);
  const onIt = members.filter((member) => member.brokerUrl === url);
  for (const member of onIt) await member.closed();
  await eventually(
    'the broker listens again',
    async () => {
      return (await readiness(url)).every((status) => status === 200);
    },
    15_000,
  );
  const others = members.filter((member) => member.brokerUrl !== url);
  const back = [await crowd.member(url), await crowd.member(url)];
  for (const member of others) assert.ok(!member.isClosed);
  await assertDeliversEverywhere([...back, ...others]);
  await stack.refresh();
  assert.notEqual(stack.brokerPids[0], supervisor);
});

test('Redis stopped: local delivery goes on, readyz says so, remote delivery returns', async () => {
  const { members } = await freshCrowd();
  await eventually('everything is ready', everyReadyIs(200));
  const pids = (await stack.nodes()).map((node) => node.pid).sort();
  let joiner;
  await stack.whileStopped('redis', async () => {
    await eventually('readyz is 503', everyReadyIs(503), READY_MS + SLACK_MS);
    for (const member of members) {
      member.push('notifications', 'shout', { local: true });
      await member.until((frame) => frame[4].local === true);
      assert.equal((await member.call('notifications', 'ping', { a: 1 })).status, 'ok');
    }
    joiner = await crowd.member(stack.brokerUrls[0]); // joins, too, need no Redis
    for (const member of [...members, joiner]) assert.ok(!member.isClosed);
  });
  await eventually('readyz is 200', everyReadyIs(200), 15_000);
  await assertDeliversEverywhere([...members, joiner]);
  await eventually(
    'the same workers are registered again',
    async () => {
      const now = (await stack.nodes()).map((node) => node.pid).sort();
      return JSON.stringify(now) === JSON.stringify(pids);
    },
    LEASE_MS + SLACK_MS,
  );
});

test('Redis frozen: noticed within 5 s, and everything returns', async () => {
  const { members } = await freshCrowd();
  await whileFrozen(stack.redisPid, async () => {
    await eventually('readyz is 503', everyReadyIs(503), READY_MS + SLACK_MS);
    const [member] = members;
    member.push('notifications', 'shout', { local: true });
    await member.until((frame) => frame[4].local === true);
  });
  await eventually('readyz is 200', everyReadyIs(200), 15_000);
  for (const member of members) assert.ok(!member.isClosed);
  await assertDeliversEverywhere(members);
});

/** New users get 503 in time, known ones connect, connected ones notice nothing (C7). */
async function assertServesWithoutDatabase(members, strangers) {
  const { result: statuses, ms } = await timed(() =>
    Promise.all(strangers.map((token, i) => connectStatus(stack.brokerUrls[i % 2], { token }))),
  );
  assert.deepEqual([...new Set(statuses)], [503]);
  assert.ok(ms < 4000, `took ${Math.round(ms)} ms`);
  const [member] = members;
  assert.equal((await member.call('notifications', 'ping', {})).status, 'ok');
  for (const each of members) assert.ok(!each.isClosed);
}

/** Every worker asks the database again: no stranger is put off any more. */
async function assertAsksAgain() {
  for (const url of stack.brokerUrls) {
    let inARow = 0;
    await eventually(
      'strangers are refused for good, not put off',
      async () => {
        const status = await connectStatus(url, { token: randomUUID() });
        assert.ok(status === 403 || status === 503, `status ${status}`);
        inARow = status === 403 ? inARow + 1 : 0;
        return inARow >= 10;
      },
      15_000,
    );
  }
}

async function assertKnowsUsersAgain(registered) {
  await assertAsksAgain();
  for (const [i, token] of registered.entries()) {
    assert.equal(await connectStatus(stack.brokerUrls[i % 2], { token }), 101);
  }
}

test('PostgreSQL stopped: connected clients stay, new users get 503, cached ones connect', async () => {
  const { members } = await freshCrowd();
  const [url] = stack.brokerUrls;
  const [known, ...strangers] = await registerBehindTheBack(9);
  assert.equal(await connectStatus(url, { token: known }), 101);
  await stack.whileStopped('postgres', async () => {
    await assertServesWithoutDatabase(members, strangers);

    const answer = await refusal(strangers[0]);
    assert.equal(answer.status, 503);
    assert.equal(answer.body, '');
    assert.match(answer.headers['retry-after'], /^\d+$/);
    // A cache belongs to a worker: among some attempts one reaches the worker that knows this user.
    await eventually(
      'a cached user connects',
      async () => (await connectStatus(url, { token: known })) === 101,
      15_000,
    );
  });
  await assertKnowsUsersAgain(strangers);
  for (const member of members) assert.ok(!member.isClosed);
});

test('PostgreSQL frozen: new users get 503 in time', async () => {
  const { members } = await freshCrowd();
  const strangers = await registerBehindTheBack(8);
  await whileFrozen(stack.postgresPid, () => assertServesWithoutDatabase(members, strangers));
  await assertKnowsUsersAgain(strangers);
});

/** Users that no broker has heard of: no event announces them. */
async function registerBehindTheBack(count) {
  const ids = Array.from({ length: count }, () => randomUUID());
  const values = ids.map((id) => `('${id}', 'Stranger')`).join(',');
  await stack.sql(`insert into users (id, nickname) values ${values}`);
  return ids;
}

async function refusal(token) {
  const raw = await RawConnection.open(stack.brokerPorts[0]);
  raw.write(upgradeRequest(`/socket/websocket?userToken=${token}&vsn=2.0.0`));
  try {
    return await raw.response();
  } finally {
    raw.destroy();
  }
}

test('C81-C83: SIGTERM drains: 1012 for everybody, no new ones, then the process ends', async () => {
  const { members } = await freshCrowd();
  const leaving = await stack.startBroker({ TAKO_WORKERS: '2' });
  const clients = [];
  for (let i = 0; i < 20; i++) clients.push(await crowd.member(leaving.url));
  const idle = await PhxClient.open(leaving.url, { token: clients[0].token }); // joined nothing
  const early = await RawConnection.open(leaving.port); // connected, request not sent yet

  leaving.signal('SIGTERM');
  const closes = await Promise.all([...clients, idle].map((client) => client.closed(DRAIN_MS + SLACK_MS)));
  assert.deepEqual([...new Set(closes.map(({ code }) => code))], [1012]);

  early.write(upgradeRequest(`/socket/websocket?userToken=${clients[0].token}&vsn=2.0.0`));
  const status = await early.response().then(
    (answer) => answer.status,
    () => 'closed',
  );
  assert.ok(status === 503 || status === 'closed', `an upgrade during the drain: ${status}`);
  await assert.rejects(RawConnection.open(leaving.port), 'a new connection is refused');
  early.destroy();

  const { code, signal } = await leaving.exited;
  assert.deepEqual([code, signal], [0, null]);
  await eventually(
    'its workers are no longer registered',
    async () => {
      return (await stack.nodes()).every((node) => node.port !== leaving.port);
    },
    LEASE_MS + SLACK_MS,
  );
  for (const member of members) assert.ok(!member.isClosed);
  await assertDeliversEverywhere(members);
});
