// SPDX-License-Identifier: MIT
/*
 * Presence across three brokers with two workers each, seen by real phoenix.js pages on all six:
 * nodes that die, pause, drain and lose Redis (channels.md C123-C133, C176-C178, C182, C184).
 *
 * TAKO_KILL_SECONDS (120): how long the random killer at the end does its work; TAKO_KILL_SEED: what it
 * does, as an earlier run printed it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { PRESENCE, PhoenixUser, outcome } from '../support/phoenix.mjs';
import { PhxClient } from '../support/phx.mjs';
import { PresencePage, publicId, refsOf } from '../support/presence.mjs';
import { childrenOf, signal, whileFrozen } from '../support/proc.mjs';
import { startWire } from '../support/redis.mjs';
import { startStack } from '../support/stack.mjs';
import { after, eventually, test } from '../support/testing.mjs';

const LEASE_MS = 3000;
const GONE_MS = LEASE_MS + 2000; // as 12 s are to the lease of 10 s that a worker has by default
const HEALED_MS = 5000;
const KILL_SECONDS = Number(process.env.TAKO_KILL_SECONDS ?? 120);
const VERSIONS = ['latest', '1.7.6', '1.5.14'];

const settings = {
  TAKO_NODE_LEASE_MS: String(LEASE_MS),
};
const stack = await startStack({ brokers: 3, workers: 2, env: settings });
const others = new Set(); // clients that are not pages
after(() => {
  for (const client of others) client.terminate();
  PhoenixUser.endAll();
});

const newTopic = () => `room:${randomBytes(6).toString('hex')}`;
const sorted = (keys) => [...keys].sort().join();

async function openPage(topic, url, options) {
  return PresencePage.open(url, await stack.createUser(), topic, options);
}

/** A client without a mind of its own, which does not come back. */
async function openPlain(topic, url) {
  const token = await stack.createUser();
  const client = await PhxClient.open(url, { token });
  others.add(client);
  client.key = publicId(token);
  assert.equal((await client.join(topic))[4].status, 'ok');
  return client;
}

/** Ends a broker without a chance to take leave: workers drain when only their supervisor is killed. */
function crash(broker) {
  for (const pid of [...childrenOf(broker.pid), broker.pid]) signal(pid, 'SIGKILL');
}

/** All pages list exactly these users, with the same metas, and so does Redis. */
async function assertAgree(pages, keys, timeout) {
  await eventually(
    `${pages.length} pages list ${keys.length} users`,
    () => pages.every((page) => sorted(page.keys()) === sorted(keys)),
    timeout,
  );
  await eventually(
    'all pages know the same metas',
    () => new Set(pages.map((page) => page.view())).size === 1,
    timeout,
  );
}

const keysOf = (clients) => clients.map((client) => client.key);
const forgetAll = (pages) => pages.forEach((page) => page.forget());

/** What has happened before this has reached everybody who is told of it. */
async function assertNothingElse(pages, who) {
  const mark = randomBytes(4).toString('hex');
  assert.equal((await outcome(who.channel.push('update_presence', { mark }))).status, 'ok');
  await eventually('the mark is seen', () => pages.every((page) => page.view().includes(mark)));
  for (const page of pages) {
    assert.deepEqual(page.diary, []);
    assert.deepEqual(page.diffs.flatMap(({ leaves }) => Object.keys(leaves)), [who.key]);
  }
}

/** Pages in a room, on every worker. */
let topic;
let pages = [];

test('C124, C133: pages on all six workers see each other; each first state was complete', async () => {
  topic = newTopic();
  for (let round = 0; ; round++) {
    for (const url of stack.brokerUrls) {
      for (let i = 0; i < 4; i++) {
        const version = VERSIONS[pages.length % VERSIONS.length];
        assert.ok(version in PRESENCE);
        const page = await openPage(topic, url, { version });
        pages.push(page);
        await eventually('everybody has heard of it', () =>
          pages.every((each) => each.keys().includes(page.key)),
        );
        const missing = pages.slice(0, -1).filter(({ key }) => !(key in page.states[0]));
        assert.deepEqual(keysOf(missing), [], 'its first state had everybody');
      }
    }
    const nodes = await eventually('all are counted', async () => {
      const entries = await stack.nodes();
      return entries.reduce((sum, node) => sum + node.connections, 0) === pages.length && entries;
    });
    assert.equal(nodes.length, 6);
    if (nodes.every((node) => node.connections > 0)) break;
    assert.ok(round < 8, 'some worker never gets a connection');
  }
  await assertAgree(pages, keysOf(pages));
  const listed = JSON.parse(await stack.takoctlOk('presence', topic, '--json'));
  assert.equal(sorted(Object.keys(listed)), sorted(keysOf(pages)));
  assert.equal(sorted(refsOf(listed)), sorted(refsOf(pages[0].presence.state)));
});

test('C110, C111: updates, second tabs and leaves reach all workers', async () => {
  const [first] = pages;
  forgetAll(pages);
  await outcome(first.channel.push('update_presence', { device: 'tablet' }));
  await eventually('the update is everywhere', () =>
    pages.every((page) => page.presence.state[first.key].metas[0].device === 'tablet'),
  );
  const tab = await PresencePage.open(stack.brokerUrls[2], first.token, topic);
  await eventually('two metas everywhere', () =>
    pages.every((page) => page.presence.state[first.key].metas.length === 2),
  );
  tab.end();
  await eventually('one meta everywhere', () =>
    pages.every((page) => page.presence.state[first.key].metas.length === 1),
  );
  for (const page of pages) assert.deepEqual(page.diary, []);
  await assertAgree(pages, keysOf(pages));
});

test('a PATCH of the nickname reaches all workers', async () => {
  const [first] = pages;
  const nickname = `Renamed_${randomBytes(3).toString('hex')}`;
  forgetAll(pages);
  assert.equal((await stack.api.update(first.token, { nickname })).status, 200);
  await eventually('the new name is everywhere', () =>
    pages.every((page) => page.presence.state[first.key].metas.every((meta) => meta.nickname === nickname)),
  );
  for (const page of pages) assert.deepEqual(page.diary, []);
});

test('C125, C126, C131, C176: users of a broker that was killed leave in one diff', async () => {
  const extra = await stack.startBroker(settings);
  const victims = [];
  for (let i = 0; i < 5; i++) victims.push(await openPlain(topic, extra.url));
  await assertAgree(pages, keysOf([...pages, ...victims]));
  forgetAll(pages);
  crash(extra);
  await assertAgree(pages, keysOf(pages), GONE_MS + 5000);
  for (const page of pages) {
    assert.equal(page.diffs.length, 1);
    assert.equal(sorted(Object.keys(page.diffs[0].leaves)), sorted(keysOf(victims)));
    assert.deepEqual(page.diffs[0].joins, {});
  }
  await eventually('nothing of them is left in Redis', async () => {
    const fields = await stack.redis(['HKEYS', `tako:presence:${topic}`]);
    return !fields.includes(`extra-${extra.port}`);
  });
});

test('C115, C128: a killed worker comes back under its name: no ghosts, its pages return', async () => {
  const victim = (await stack.nodes()).find((node) => node.connections > 0);
  const before = new Map(pages.map((page) => [page, page.joins]));
  process.kill(victim.pid, 'SIGKILL');
  await eventually('its pages are back', () => {
    const back = pages.filter((page) => page.opens > 1 && page.isJoined);
    return back.length >= victim.connections && pages.every((page) => page.isJoined);
  }, 20_000);
  assert.ok([...before].some(([page]) => page.closeCodes.length > 0));
  await eventually('one meta each', () =>
    pages.every((page) => Object.values(page.presence.state).every(({ metas }) => metas.length === 1)),
    GONE_MS + 5000,
  );
  await assertAgree(pages, keysOf(pages));
});

test('C127: a pause shorter than the lease is no diff; after a longer one the same refs return', async () => {
  const extra = await stack.startBroker(settings);
  const sleepers = [await openPage(topic, extra.url), await openPage(topic, extra.url)];
  const all = [...pages, ...sleepers];
  await assertAgree(all, keysOf(all));
  forgetAll(all);
  await whileFrozen(extra.pid, () => delay(LEASE_MS * 0.6)); // it is renewed every third of the lease
  await assertNothingElse(all, pages[0]);
  const refs = sorted(refsOf(pages[0].presence.state));
  forgetAll(all);
  await whileFrozen(extra.pid, () => assertAgree(pages, keysOf(pages), GONE_MS + 5000));
  await assertAgree(all, keysOf(all), HEALED_MS + 5000);
  assert.equal(sorted(refsOf(pages[0].presence.state)), refs);
  for (const page of pages) {
    assert.deepEqual(
      page.diffs.map(({ joins, leaves }) => [refsOf(joins).length, refsOf(leaves).length]),
      [[0, 2], [2, 0]],
    );
  }
  for (const page of sleepers) page.end();
  await assertAgree(pages, keysOf(pages));
  await extra.stop();
});

test('C129, C184: pages of a draining broker come back elsewhere: merged diffs, nobody leaves', async () => {
  const extra = await stack.startBroker(settings);
  const movers = [];
  for (let i = 0; i < 5; i++) {
    const page = await openPage(topic, extra.url);
    page.moveTo(stack.brokerUrls[i % 3]);
    movers.push(page);
  }
  const all = [...pages, ...movers];
  await assertAgree(all, keysOf(all));
  forgetAll(all);
  extra.signal('SIGTERM');
  await eventually('they are back', () => movers.every((page) => page.opens === 2 && page.isJoined), 15_000);
  assert.deepEqual((await extra.exited).code, 0);
  await eventually('with one meta each', () =>
    all.every((page) => Object.values(page.presence.state).every(({ metas }) => metas.length === 1)),
  );
  await assertAgree(all, keysOf(all));
  for (const page of pages) {
    assert.deepEqual(page.diary, [], 'nobody came or went');
    for (const { joins, leaves } of page.diffs) {
      assert.equal(sorted(Object.keys(joins)), sorted(Object.keys(leaves)), 'merged');
    }
  }
  forgetAll(pages);
  for (const page of movers) page.end();
  await assertAgree(pages, keysOf(pages));
});

test('C129: who does not come back after a drain leaves when its time is over, in one diff', async () => {
  const extra = await stack.startBroker(settings);
  const leavers = [];
  for (let i = 0; i < 4; i++) leavers.push(await openPlain(topic, extra.url));
  await assertAgree(pages, keysOf([...pages, ...leavers]));
  forgetAll(pages);
  extra.signal('SIGTERM');
  await extra.exited;
  for (const page of pages) assert.equal(page.keys().length, pages.length + leavers.length);
  assert.match(await stack.takoctlOk('presence', topic), /lingering/);
  await assertAgree(pages, keysOf(pages), GONE_MS + 5000);
  for (const page of pages) assert.equal(page.diffs.filter(({ leaves }) => refsOf(leaves).length).length, 1);
});

test('C123: Redis restarted empty: nobody flickers, and it knows everybody again', async () => {
  forgetAll(pages);
  await stack.control('stop', 'redis');
  await assertAgree(pages, keysOf(pages));
  await stack.control('start', 'redis');
  await eventually(
    'Redis knows everybody',
    async () => {
      const listed = JSON.parse(await stack.takoctlOk('presence', topic, '--json'));
      return sorted(Object.keys(listed)) === sorted(keysOf(pages));
    },
    HEALED_MS + 5000,
  );
  const newcomer = await openPage(topic, stack.brokerUrls[0]);
  await assertAgree([...pages, newcomer], keysOf([...pages, newcomer]));
  for (const page of pages) assert.deepEqual(page.diary, [`join ${newcomer.key}`]);
  newcomer.end();
  await assertAgree(pages, keysOf(pages));
});

test('C127, C132: a broker cut off from Redis, and back', async () => {
  const wire = await startWire(stack.redisSocket);
  const extra = await stack.startBroker({ ...settings, REDIS_URL: wire.url });
  const island = [await openPage(topic, extra.url), await openPage(topic, extra.url)];
  const all = [...pages, ...island];
  await assertAgree(all, keysOf(all));
  const refs = sorted(refsOf(pages[0].presence.state));
  forgetAll(all);
  wire.cut();
  await assertAgree(pages, keysOf(pages), GONE_MS + 5000);
  await assertAgree(island, keysOf(island), GONE_MS + 5000);
  for (const page of pages) assert.equal(page.diffs.length, 1, 'one diff for both');
  for (const page of island) assert.equal(page.diffs.length, 1, 'one diff for all others');
  wire.mend();
  await assertAgree(all, keysOf(all), HEALED_MS + 10_000);
  assert.equal(sorted(refsOf(pages[0].presence.state)), refs, 'with the same refs');
  for (const page of island) page.end();
  await assertAgree(pages, keysOf(pages));
  await extra.stop();
});

/** What the killer does; each leaves everything running in the end. */
const misdeeds = {
  async killWorker(dice) {
    const workers = stack.brokerPids.flatMap(childrenOf);
    if (workers.length > 0) signal(workers[dice(workers.length)], 'SIGKILL');
  },
  async killBroker(dice) {
    const victim = stack.brokerPids[dice(stack.brokerPids.length)];
    signal(victim, 'SIGKILL');
    await eventually(
      'another one runs in its place',
      async () => {
        const { brokerPids } = await stack.refresh();
        return brokerPids.length === 3 && !brokerPids.includes(victim);
      },
      15_000,
    );
  },
  async pauseWorker(dice) {
    const workers = stack.brokerPids.flatMap(childrenOf);
    if (workers.length > 0) {
      await whileFrozen(workers[dice(workers.length)], () => delay(dice(2 * LEASE_MS)));
    }
  },
  async drainBroker(dice) {
    await stack.control('restart', `broker${1 + dice(3)}`);
  },
  async restartRedis() {
    await stack.control('restart', 'redis');
  },
};

/** Comes, says something, and goes, again and again. */
async function churn(url, isOver) {
  const token = await stack.createUser();
  while (!isOver()) {
    let client;
    try {
      client = await PhxClient.open(url, { token });
      await client.join(topic);
      await client.call(topic, 'update_presence', { n: Math.random() });
    } catch {
      await delay(50); // the broker is just being killed, or its worker sleeps
    } finally {
      client?.terminate(); // one that got no answer is still a member
    }
  }
}

test(
  'C123, C177: a killer at work: in the end everybody agrees with the truth',
  async () => {
    const seed = Number(process.env.TAKO_KILL_SEED ?? Date.now() % 1e9);
    let random = seed;
    const dice = (below) => {
      random = (random * 1103515245 + 12345) % 2147483648;
      return Math.floor((random / 2147483648) * below);
    };
    const end = Date.now() + KILL_SECONDS * 1000;
    const isOver = () => Date.now() > end;
    const churners = stack.brokerUrls.map((url) => churn(url, isOver));
    const done = [];
    while (!isOver()) {
      const name = Object.keys(misdeeds)[dice(Object.keys(misdeeds).length)];
      done.push(name);
      await misdeeds[name](dice);
      await delay(dice(1000));
    }
    await Promise.all(churners);
    const story = `TAKO_KILL_SEED=${seed}: ${done.join(' ')}`;
    console.log(`# ${story}`);
    await eventually('all pages are joined', () => pages.every((page) => page.isJoined), 30_000);
    await assertAgree(pages, keysOf(pages), 2 * GONE_MS + HEALED_MS).catch(async (error) => {
      const views = pages.map((page) => page.keys().length);
      throw new Error(`${story}\n${views}\n${await stack.takoctlOk('presence', topic)}`, { cause: error });
    });
  },
  { limit: (KILL_SECONDS + 120) * 1000 },
);

test('when all have gone and the leases are over, Redis is empty', async () => {
  const extra = await stack.startBroker(settings);
  const left = newTopic();
  await openPlain(left, extra.url);
  await eventually('it is in Redis', async () => (await stack.redis(['EXISTS', `tako:presence:${left}`])) === '1');
  crash(extra); // nobody else is in that room, so nobody cleans up behind it
  for (const page of pages) page.end();
  pages = [];
  for (const client of others) client.terminate();
  await Promise.all([1, 2, 3].map((n) => stack.control('stop', `broker${n}`)));
  await eventually(
    'no key is left',
    async () => (await stack.redis(['DBSIZE'])) === '0',
    6 * LEASE_MS + 10_000,
  );
});
