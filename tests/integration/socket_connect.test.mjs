// SPDX-License-Identifier: MIT
/*
 * From TCP to an open socket: paths, query, users, Origin, subprotocols, and every refusal with its
 * exact status and body (channels.md, C1-C16), over raw sockets to a broker.
 */
import assert from 'node:assert/strict';
import { RawConnection, WS_ACCEPT, clientFrame, opcode, upgradeRequest } from '../support/raw.mjs';
import { PhxClient, connectStatus } from '../support/phx.mjs';
import { startStack } from '../support/stack.mjs';
import { eventually, table, test } from '../support/testing.mjs';

const UNKNOWN_USER = '00000000-0000-4000-8000-000000000000';
const HEARTBEAT = '[null,"1","phoenix","heartbeat",{}]';
const HEARTBEAT_REPLY = [null, '1', 'phoenix', 'phx_reply', { response: {}, status: 'ok' }];

const stack = await startStack();
const [broker] = stack.brokerUrls;
const [port] = stack.brokerPorts;
const user = await stack.createUser();
const target = (query) => `/socket/websocket?${query}`;
const good = target(`userToken=${user}&vsn=2.0.0`);

/** Sends a request as it is and returns the answer; the connection stays open in `answer.raw`. */
async function exchange(request, { hasBody = true, to = port } = {}) {
  const raw = await RawConnection.open(to);
  raw.write(request);
  const answer = await raw.response({ hasBody });
  return { ...answer, raw };
}

async function statusOf(request, options) {
  const { status, raw } = await exchange(request, options);
  raw.destroy();
  return status;
}

/** What a refusal must look like (C7): nothing of the reason, no CORS headers, no body but JSON. */
function assertRefusal(answer, status, body = '') {
  assert.equal(answer.status, status, answer.statusLine);
  assert.equal(answer.body, body);
  assert.equal(answer.headers['content-length'], String(body.length));
  if (body === '') assert.equal(answer.headers['content-type'], undefined);
  else assert.match(answer.headers['content-type'], /^application\/json/);
  for (const name of Object.keys(answer.headers)) assert.doesNotMatch(name, /^access-control/);
}

const NOT_FOUND = '{"errors":{"detail":"Not Found"}}';
const BAD_REQUEST = '{"errors":{"detail":"Bad Request"}}';

test('C8: an accepted upgrade', async () => {
  const { status, headers, raw } = await exchange(upgradeRequest(good));
  assert.equal(status, 101);
  assert.equal(headers.connection.toLowerCase(), 'upgrade');
  assert.equal(headers.upgrade.toLowerCase(), 'websocket');
  assert.equal(headers['sec-websocket-accept'], WS_ACCEPT);
  assert.equal(headers['sec-websocket-extensions'], undefined, 'C17, C170');
  assert.equal(headers['sec-websocket-protocol'], undefined);
  raw.write(clientFrame(opcode.text, HEARTBEAT));
  assert.deepEqual(await raw.json(), HEARTBEAT_REPLY);
  raw.destroy();
});

table(
  'C8, C17: harmless varieties of upgrade headers',
  [
    { Connection: 'keep-alive, Upgrade' },
    { Connection: 'upgrade' },
    { Upgrade: 'WebSocket' },
    { 'Sec-WebSocket-Key': 'any' },
    { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
    { 'Sec-WebSocket-Protocol': 'other, protocols' },
    { Cookie: 'c='.padEnd(3000, 'x') },
  ],
  (headers) => JSON.stringify(headers).slice(0, 60),
  async (headers) => {
    const answer = await exchange(upgradeRequest(good, headers));
    assert.equal(answer.status, 101);
    assert.equal(answer.headers['sec-websocket-extensions'], undefined);
    assert.equal(answer.headers['sec-websocket-protocol'], undefined, 'C16');
    answer.raw.destroy();
  },
);

test('C9: frames in the segment of the upgrade request are handled', async () => {
  const raw = await RawConnection.open(port);
  raw.write(
    Buffer.concat([
      Buffer.from(upgradeRequest(good)),
      clientFrame(opcode.text, HEARTBEAT),
      clientFrame(opcode.text, '["3","3","notifications","phx_join",{}]'),
    ]),
  );
  assert.equal((await raw.response()).status, 101);
  assert.deepEqual(await raw.json(), HEARTBEAT_REPLY);
  assert.deepEqual(await raw.json(), [
    '3',
    '3',
    'notifications',
    'phx_reply',
    { response: {}, status: 'ok' },
  ]);
  raw.destroy();
});

test('a request that arrives byte by byte is a request', async () => {
  const raw = await RawConnection.open(port);
  for (const byte of Buffer.from(upgradeRequest(good))) raw.write(Buffer.from([byte]));
  assert.equal((await raw.response()).status, 101);
  raw.destroy();
});

table(
  'C1: paths',
  [
    ['/socket/websocket', 101],
    ['/socket/websocket/', 101],
    ['/socket//websocket', 101],
    ['//socket/websocket', 101],
    ['/socket', 404],
    ['/socket/', 404],
    ['/socket/websocket/x', 404],
    ['/socket/websocke', 404],
    ['/SOCKET/websocket', 404],
    ['/socket/longpoll', 404],
    ['/', 404],
  ],
  ([path]) => path,
  async ([path, status]) => {
    const answer = await exchange(upgradeRequest(`${path}?userToken=${user}&vsn=2.0.0`));
    if (status === 101) assert.equal(answer.status, 101);
    else assertRefusal(answer, 404, NOT_FOUND);
    answer.raw.destroy();
  },
);

table(
  'C3, C4, C84: queries that are accepted',
  [
    `userToken=${user}&vsn=2.0.0`,
    `userToken=${user}`, // C5: no vsn is V1
    `&&userToken=${user}&&vsn=2.0.0&`,
    `userToken=${user}&&arr%5B0%5D=1&vsn=2.0.0`,
    `obj%5Ba%5D=x%20y&userToken=${user}&vsn=2.0.0`,
    `userToken=${UNKNOWN_USER}&userToken=${user}&vsn=2.0.0`, // the last one wins
    `userToken=${user.replaceAll('-', '%2D')}&vsn=2.0.0`,
    `user%54oken=${user}&vsn=2.0.0`,
    `userToken=${user.toUpperCase()}&vsn=2.0.0`,
    `userToken=%20${user}%20&vsn=2.0.0`,
    `userToken=+${user}+&vsn=2.0.0`,
    `userToken=${user}&vsn=2.0.0&unknown=%zz`,
    `userToken=${user}&vsn=2.0.0&flag`,
  ],
  (query) => query.replaceAll(user, '<user>').slice(0, 70),
  async (query) => assert.equal(await statusOf(upgradeRequest(target(query))), 101),
);

table(
  'C6, C7: users that are refused with 403, empty',
  [
    '&vsn=2.0.0', // C4: the page after a failed registration
    'vsn=2.0.0',
    'userToken=&vsn=2.0.0',
    'userToken&vsn=2.0.0',
    'userToken=null&vsn=2.0.0',
    `userToken=${UNKNOWN_USER}&vsn=2.0.0`,
    'userToken=not-a-uuid&vsn=2.0.0',
    'userToken=sixteen-byte-id!&vsn=2.0.0',
    `userToken=${user.replaceAll('-', '')}&vsn=2.0.0`,
    `userToken=%7B${user}%7D&vsn=2.0.0`,
    `userToken=${user}0&vsn=2.0.0`,
    `userToken[]=${user}&vsn=2.0.0`,
    `userToken%5B%5D=${user}&vsn=2.0.0`,
    `userToken[a]=${user}&vsn=2.0.0`,
    `userToken=${user}&userToken=${UNKNOWN_USER}&vsn=2.0.0`,
    `userToken=${user}%00&vsn=2.0.0`,
  ],
  (query) => query.replaceAll(user, '<user>').slice(0, 70),
  async (query) => {
    const answer = await exchange(upgradeRequest(target(query)));
    assertRefusal(answer, 403);
    answer.raw.destroy();
  },
);

table(
  'C5: vsn',
  [
    ['1.0.0', 101],
    ['1.0.5', 101],
    ['2.0.0', 101],
    ['2.0.9', 101],
    ['2.0.1-rc.1', 101],
    ['2.0.0%2Bx', 101],
    ['2.0', 403],
    ['', 403],
    ['abc', 403],
    ['9.9.9', 403],
    ['2.1.0', 403],
    ['1.1.0', 403],
    ['0.9.0', 403],
    ['2.0.0-rc.1', 403],
    ['02.0.0', 403],
    ['2.0.0%20', 403],
    ['2.0.0.0', 403],
    ['18446744073709551618.0.0', 403],
  ],
  ([vsn]) => `vsn=${vsn}`,
  async ([vsn, status]) => {
    const answer = await exchange(upgradeRequest(target(`userToken=${user}&vsn=${vsn}`)));
    if (status === 101) assert.equal(answer.status, 101);
    else assertRefusal(answer, 403);
    answer.raw.destroy();
  },
);

test('C5: vsn that is no string is refused', async () => {
  assert.equal(await statusOf(upgradeRequest(target(`userToken=${user}&vsn[]=2.0.0`))), 403);
});

test('C6: a bad vsn and a bad user look the same', async () => {
  const badVsn = await exchange(upgradeRequest(target(`userToken=${user}&vsn=9.9.9`)));
  const badUser = await exchange(upgradeRequest(target(`userToken=${UNKNOWN_USER}&vsn=2.0.0`)));
  const visible = ({ statusLine, headers, body }) => ({
    statusLine,
    headers: { ...headers, date: '' },
    body,
  });
  assert.deepEqual(visible(badVsn), visible(badUser));
});

table(
  'C7: methods other than GET',
  ['POST', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH'],
  (method) => method,
  async (method) => {
    const headers = method === 'HEAD' || method === 'OPTIONS' ? {} : { 'Content-Length': '0' };
    const request = upgradeRequest(good, headers, { method });
    const answer = await exchange(request, { hasBody: method !== 'HEAD' });
    assertRefusal(answer, 400);
  },
);

test('C7: a query that is not UTF-8 once decoded', async () => {
  for (const query of [
    'userToken=%ff&vsn=2.0.0',
    `userToken=${user}&vsn=2.0.0&x=%c0%af`,
    `%ff=1&userToken=${user}`,
  ]) {
    assertRefusal(await exchange(upgradeRequest(target(query))), 400, BAD_REQUEST);
  }
});

test('C7: a plain request with good credentials is 426, with bad ones 403 (C2)', async () => {
  const plain = { Connection: undefined, Upgrade: undefined };
  const answer = await exchange(upgradeRequest(good, plain));
  assertRefusal(answer, 426);
  assert.match(answer.headers.connection, /upgrade/i);
  assert.equal(answer.headers.upgrade, 'websocket');
  const bad = target(`userToken=${UNKNOWN_USER}&vsn=2.0.0`);
  assertRefusal(await exchange(upgradeRequest(bad, plain)), 403);
});

table(
  'C7: upgrade headers that are wrong',
  [
    ['no Upgrade', { Upgrade: undefined }, 426],
    ['other Upgrade', { Upgrade: 'h2c' }, 426],
    ['Connection without upgrade', { Connection: 'keep-alive' }, 426],
    ['no key', { 'Sec-WebSocket-Key': undefined }, 400],
    ['empty key', { 'Sec-WebSocket-Key': '' }, 400],
    ['no version', { 'Sec-WebSocket-Version': undefined }, 426],
    ['version 8', { 'Sec-WebSocket-Version': '8' }, 426],
    ['version 14', { 'Sec-WebSocket-Version': '14' }, 426],
  ],
  ([name]) => name,
  async ([name, headers, status]) => {
    const answer = await exchange(upgradeRequest(good, headers));
    assertRefusal(answer, status);
    if (/^version|^no version/.test(name)) {
      assert.equal(answer.headers['sec-websocket-version'], '13');
    }
  },
);

test('C7: an HTTP/1.0 upgrade is 400', async () => {
  assertRefusal(await exchange(upgradeRequest(good, {}, { version: '1.0' })), 400);
});

test('C7: request lines of 8000 bytes pass, endless ones are 414', async () => {
  const padded = (length) => {
    const request = `${good}&pad=`;
    return upgradeRequest(request.padEnd(length - 'GET  HTTP/1.1'.length, 'x'));
  };
  assert.equal(await statusOf(padded(8000)), 101);
  const answer = await exchange(padded(20_000));
  assertRefusal(answer, 414);
  assert.equal(answer.headers.connection, 'close');
});

table(
  'requests that are no HTTP are answered or dropped, never obeyed',
  [
    ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['no version', `GET ${good}\r\n\r\n`],
    ['blank before the colon', upgradeRequest(good, { 'Host ': 'x' })],
    ['folded header', upgradeRequest(good, { 'X-Folded': 'a\r\n b' })],
    ['control character', upgradeRequest(good, { 'X-Control': 'a\x01b' })],
    ['endless head', upgradeRequest(good, { 'X-Long': 'x'.repeat(100_000) })],
  ],
  ([name]) => name,
  async ([, request]) => {
    const raw = await RawConnection.open(port);
    raw.write(Buffer.from(request, 'latin1'));
    const status = await raw.response().then(
      (answer) => answer.status,
      () => 0,
    );
    assert.ok(raw.hasEnded || (status >= 400 && status < 500), `status ${status}`);
    assert.equal(await statusOf(upgradeRequest(good)), 101, 'the broker lives');
  },
);

test('C7: after a refusal the connection stays usable', async () => {
  const { status, raw } = await exchange(upgradeRequest(target('vsn=2.0.0')));
  assert.equal(status, 403);
  raw.write(upgradeRequest(good));
  assert.equal((await raw.response()).status, 101);
  raw.write(clientFrame(opcode.text, HEARTBEAT));
  assert.deepEqual(await raw.json(), HEARTBEAT_REPLY);
  raw.destroy();
});

const ORIGINS = 'https://holoquest.hololivefanbooth.com,//*.netlify.app';

test('C2, C10-C12: Origins', async (t) => {
  const strict = await stack.startBroker({ TAKO_SOCKET_ORIGINS: ORIGINS });
  const rows = [
    [undefined, 101],
    ['https://holoquest.hololivefanbooth.com', 101],
    ['https://holoquest.hololivefanbooth.com:443', 101],
    ['https://deploy-1--x.netlify.app', 101],
    ['http://a.b.netlify.app:99', 101],
    ['https://netlify.app', 101],
    ['http://holoquest.hololivefanbooth.com', 403],
    ['https://holoquest.hololivefanbooth.com:8443', 403],
    ['https://evilnetlify.app', 403],
    ['https://netlify.app.evil.example', 403],
    ['null', 403],
    ['https://evil.example', 403],
    ['', 403],
  ];
  for (const [origin, status] of rows) {
    await t.test(String(origin), async () => {
      const answer = await exchange(upgradeRequest(good, { Origin: origin }), { to: strict.port });
      if (status === 101) assert.equal(answer.status, 101);
      else assertRefusal(answer, 403);
      answer.raw.destroy();
    });
  }
});

test('C13: an entry that is a host only allows that host, whatever the scheme and port', async () => {
  const own = await stack.startBroker({ TAKO_SOCKET_ORIGINS: '//tako.example' });
  const statusFor = (Origin) => statusOf(upgradeRequest(good, { Origin }), { to: own.port });
  for (const origin of ['https://tako.example', 'http://tako.example:8080']) {
    assert.equal(await statusFor(origin), 101, origin);
  }
  for (const origin of ['https://other.example', 'https://sub.tako.example']) {
    assert.equal(await statusFor(origin), 403, origin);
  }
});

const base64 = (text) => Buffer.from(text).toString('base64').replace(/=+$/, '');
const bearer = (text) => `base64url.bearer.phx.${text}`;

test('C14: phoenix is selected when it is offered, and nothing else is echoed', async () => {
  const protocols = ['phoenix', bearer(base64(user))];
  const client = await PhxClient.open(broker, { protocols, token: user });
  assert.equal(client.protocol, 'phoenix');
  client.terminate();
  const answer = await exchange(upgradeRequest(good, { 'Sec-WebSocket-Protocol': protocols.join(', ') }));
  assert.equal(answer.headers['sec-websocket-protocol'], 'phoenix');
  assert.ok(!JSON.stringify(answer.headers).includes(base64(user)), 'C15: never echoed');
});

test('C15: the token of a subprotocol stands in for a missing userToken', async () => {
  const protocolsFor = (text) => ({ 'Sec-WebSocket-Protocol': `phoenix, ${bearer(text)}` });
  const vsnOnly = target('vsn=2.0.0');
  const padded = Buffer.from(user).toString('base64');
  const urlSafe = Buffer.from(user).toString('base64url');
  for (const text of [base64(user), padded, urlSafe]) {
    assert.equal(await statusOf(upgradeRequest(vsnOnly, protocolsFor(text))), 101, text);
  }
  for (const text of ['', '!!!', base64('nobody'), base64(UNKNOWN_USER), base64(user).slice(1)]) {
    assert.equal(await statusOf(upgradeRequest(vsnOnly, protocolsFor(text))), 403, text);
  }
  const query = target(`userToken=${UNKNOWN_USER}&vsn=2.0.0`);
  assert.equal(await statusOf(upgradeRequest(query, protocolsFor(base64(user)))), 403, 'the query wins');
});

test('C84: a user who registers is known at once, also after a refusal', async () => {
  const id = await stack.createUser();
  assert.equal(await connectStatus(broker, { token: id }), 101);
});

test('clients who go away while their user is looked up leave nothing behind', async () => {
  const own = await stack.startBroker({ TAKO_USER_LOOKUP_TIMEOUT_MS: '30000' });
  const users = await stack.createUsers(6);
  const lockers = `from pg_locks where relation = 'users'::regclass and mode = 'AccessExclusiveLock' and granted`;
  const held = stack.sql('begin; lock table users; select pg_sleep(60)').catch(() => 'released');
  await eventually('the users are locked', async () => {
    return (await stack.sql(`select count(*) ${lockers}`)) === '1';
  });
  const clients = [];
  for (const id of users) {
    const raw = await RawConnection.open(own.port);
    const request = upgradeRequest(target(`userToken=${id}&vsn=2.0.0`));
    raw.write(Buffer.concat([Buffer.from(request), clientFrame(opcode.text, HEARTBEAT)]));
    clients.push(raw);
  }
  await eventually('a lookup waits for the lock', async () => {
    const waiting = `select count(*) from pg_stat_activity where wait_event_type = 'Lock'`;
    return Number(await stack.sql(waiting)) > 0;
  });
  const leaving = clients.splice(0, 3);
  for (const raw of leaving) raw.destroy();
  await stack.sql(`select pg_terminate_backend(pid) ${lockers}`);
  assert.equal(await held, 'released');

  for (const raw of clients) {
    assert.equal((await raw.response()).status, 101);
    assert.deepEqual(await raw.json(), HEARTBEAT_REPLY);
  }
  const connections = async () => (await stack.nodes()).find((node) => node.port === own.port)?.connections;
  await eventually('the others are gone', async () => (await connections()) === clients.length);
  for (const raw of clients) raw.destroy();
});

test('healthz and readyz, at the broker and through the web server', async () => {
  for (const base of [`http://127.0.0.1:${port}`, stack.url]) {
    for (const path of ['/healthz', '/readyz']) {
      const answer = await fetch(base + path);
      assert.equal(answer.status, 200, base + path);
      await answer.text();
    }
  }
});

test('the socket works through the web server, for both serializers', async () => {
  for (const vsn of ['1.0.0', '2.0.0']) {
    assert.equal(await connectStatus(stack.socketUrl, { token: user, vsn }), 101);
  }
  assert.equal(await connectStatus(stack.socketUrl, { token: UNKNOWN_USER }), 403);
});
