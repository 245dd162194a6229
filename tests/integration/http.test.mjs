// SPDX-License-Identifier: MIT
/*
 * The HTTP half from the outside, through the web server: the real page's calls, CORS, bearer,
 * routes and methods, negotiation, and what is not JSON (http-api.md, H1-H32, H88-H89).
 */
import assert from 'node:assert/strict';
import {
  ANY_UUID,
  JSON_API,
  PAGE_ORIGIN,
  UUID,
  assertCommonHeaders,
  assertErrors,
  assertPreflight,
} from '../support/http.mjs';
import { startStack } from '../support/stack.mjs';
import { table, test } from '../support/testing.mjs';

const USERS = '/api/json/accounts/users';
const LEADERBOARD = '/api/json/leaderboard';

const stack = await startStack();
const { api } = stack;

/** A body of the real page, pasted together as the page does it, without escaping (H6). */
const nickBody = (nick) => `{"data":{"type":"user","attributes":{"nickname":"${nick}"}}}`;
const stampsBody = (count) => `{"data":{"type":"user","attributes":{"stamps_collected":${count}}}}`;

test('section 0, C1: the page registers', async () => {
  const { preflight, answer } = await api.asBrowser('POST', '/accounts/users/', nickBody('Calm_KFP'));
  assertPreflight(preflight);
  assert.equal(answer.status, 201);
  assertCommonHeaders(answer);
  assert.match(answer.json.data.id, UUID);
});

test('section 0, C2 and C3: the page renames its user and reports stamps (H1, H3)', async () => {
  const { id } = await api.register('Calm_Takodachi');
  const path = `/accounts/users/${id}`;

  const renamed = await api.asBrowser('PATCH', path, nickBody('Brave_Takodachi'));
  assertPreflight(renamed.preflight);
  assert.equal(renamed.answer.status, 200);
  assert.equal(renamed.answer.json.errors, undefined);

  const stamped = await api.asBrowser('PATCH', path, stampsBody(3));
  assert.equal(stamped.answer.status, 200);
  assert.deepEqual(stamped.answer.json.data.attributes, {
    nickname: 'Brave_Takodachi',
    stamps_collected: 3,
  });
});

test('section 0, C4: the page reads the leaderboard (H4, H5)', async () => {
  await api.register('On_The_Board');
  const { preflight, answer } = await api.asBrowser('GET', '/leaderboard');
  assertPreflight(preflight);
  assert.equal(answer.status, 200);
  assertCommonHeaders(answer);
  assert.ok(answer.json.data.some((row) => row.nickname === 'On_The_Board'));
});

test('H6: a quote in a pasted nickname is malformed JSON, not a crash', async () => {
  const { answer } = await api.asBrowser('POST', '/accounts/users/', nickBody('say "hi"'));
  assertErrors(answer, 400, ['InvalidJSON']);
});

test('H6: a backslash in a pasted nickname becomes U+0008 and is refused (H50)', async () => {
  const { answer } = await api.asBrowser('POST', '/accounts/users/', nickBody('a\\backslash'));
  assertErrors(answer, 400, ['invalid_attribute']);
});

test('H19: a preflight is answered on any path, without a token', async () => {
  for (const path of [LEADERBOARD, `${USERS}/not-a-uuid`, '/api/json/no/such/place']) {
    const answer = await api.send('OPTIONS', path, {
      headers: {
        Origin: PAGE_ORIGIN,
        'Access-Control-Request-Method': 'PATCH',
        'Access-Control-Request-Headers': 'authorization,content-type',
      },
    });
    assertPreflight(answer);
  }
});

test('H19: a preflight needs no Origin', async () => {
  assertPreflight(
    await api.send('OPTIONS', LEADERBOARD, { headers: { 'Access-Control-Request-Method': 'GET' } }),
  );
});

table(
  'H20: plain OPTIONS lists the methods without a token',
  [
    [USERS, 'GET, HEAD, POST, OPTIONS'],
    [`${USERS}/${ANY_UUID}`, 'GET, HEAD, PATCH, OPTIONS'],
    [LEADERBOARD, 'GET, HEAD, OPTIONS'],
  ],
  ([path]) => path,
  async ([path, allow]) => {
    const answer = await api.send('OPTIONS', path);
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.allow, allow);
    assertCommonHeaders(answer);
  },
);

test('H20: plain OPTIONS of an unknown path is 404', async () => {
  assertErrors(await api.send('OPTIONS', '/api/json/nothing'), 404, ['NotFound']);
});

table(
  'H16: only one well-formed Authorization value passes',
  [
    ['no header', undefined],
    ['empty', ''],
    ['wrong token', 'Bearer wrong'],
    ['a prefix of the token', (token) => `Bearer ${token.slice(0, -1)}`],
    ['the token and more', (token) => `Bearer ${token}x`],
    ['other scheme', (token) => `Basic ${token}`],
    ['no scheme', (token) => token],
    ['two blanks', (token) => `Bearer  ${token}`],
    ['scheme only', 'Bearer'],
    ['repeated', (token) => [`Bearer ${token}`, `Bearer ${token}`]],
    ['joined by the web server', (token) => `Bearer ${token}, Bearer ${token}`],
  ],
  ([name]) => name,
  async ([, value]) => {
    const Authorization = typeof value === 'function' ? value(stack.token) : value;
    const answer = await api.get(LEADERBOARD, { headers: { Authorization } });
    assertErrors(answer, 401, ['Unauthorized']);
    assert.match(answer.headers['www-authenticate'], /^Bearer realm="tako"/);
  },
);

test('H16: a token in the query does not count', async () => {
  const answer = await api.get(`${LEADERBOARD}?access_token=${stack.token}`, {
    headers: { Authorization: undefined },
  });
  assertErrors(answer, 401, ['Unauthorized']);
});

test('H17: the challenge names the error only when credentials were sent', async () => {
  const path = `${USERS}/${ANY_UUID}`;
  const without = await api.get(path, { headers: { Authorization: undefined } });
  assert.equal(without.headers['www-authenticate'], 'Bearer realm="tako"');
  const wrong = await api.get(path, { headers: { Authorization: 'Bearer wrong' } });
  assert.equal(wrong.headers['www-authenticate'], 'Bearer realm="tako", error="invalid_token"');
  assert.deepEqual(wrong.json, {
    errors: [
      {
        code: 'Unauthorized',
        detail: 'A valid bearer token is required.',
        id: wrong.json.errors[0].id,
        source: { header: 'Authorization' },
        status: '401',
        title: 'Unauthorized',
      },
    ],
    jsonapi: { version: '1.0' },
  });
});

test('H15: the scheme is case-insensitive', async () => {
  const answer = await api.get(LEADERBOARD, {
    headers: { Authorization: `bEARER ${stack.token}` },
  });
  assert.equal(answer.status, 200);
});

table(
  'H22: an unknown path is 404 with or without a token',
  [
    '/api/json/',
    '/api/json/nothing',
    '/api/json/accounts',
    '/api/json/accounts/user',
    `${USERS}/${ANY_UUID}/more`,
    `${LEADERBOARD}/1`,
    '/api/json/Leaderboard',
  ],
  (path) => path,
  async (path) => {
    assertErrors(await api.get(path), 404, ['NotFound']);
    assertErrors(await api.send('GET', path), 404, ['NotFound']);
  },
);

table(
  'H23, H88: a known path with another method is 405',
  [
    ['DELETE', USERS, 'GET, HEAD, POST, OPTIONS'],
    ['PATCH', USERS, 'GET, HEAD, POST, OPTIONS'],
    ['PUT', `${USERS}/${ANY_UUID}`, 'GET, HEAD, PATCH, OPTIONS'],
    ['POST', `${USERS}/${ANY_UUID}`, 'GET, HEAD, PATCH, OPTIONS'],
    ['DELETE', `${USERS}/${ANY_UUID}`, 'GET, HEAD, PATCH, OPTIONS'],
    ['POST', LEADERBOARD, 'GET, HEAD, OPTIONS'],
    ['PATCH', LEADERBOARD, 'GET, HEAD, OPTIONS'],
    ['DELETE', LEADERBOARD, 'GET, HEAD, OPTIONS'],
  ],
  ([method, path]) => `${method} ${path}`,
  async ([method, path, allow]) => {
    const answer = await api.call(method, path);
    assertErrors(answer, 405, ['MethodNotAllowed']);
    assert.equal(answer.headers.allow, allow);
  },
);

test('H8: route, bearer, method, negotiation and body are checked in this order', async () => {
  const nothingRight = {
    headers: { Authorization: 'Bearer wrong', Accept: 'text/html', 'Content-Type': 'text/plain' },
    body: '{',
  };
  assertErrors(await api.call('PUT', '/api/json/nothing', nothingRight), 404);
  assertErrors(await api.call('PUT', USERS, nothingRight), 401);
  nothingRight.headers.Authorization = `Bearer ${stack.token}`;
  assertErrors(await api.call('PUT', USERS, nothingRight), 405);
  assertErrors(await api.call('POST', USERS, nothingRight), 406);
  nothingRight.headers.Accept = JSON_API;
  assertErrors(await api.call('POST', USERS, nothingRight), 415);
  nothingRight.headers['Content-Type'] = JSON_API;
  assertErrors(await api.call('POST', `${USERS}?x=1`, nothingRight), 400, ['InvalidQuery']);
  assertErrors(await api.call('POST', USERS, nothingRight), 400, ['InvalidJSON']);
});

test('H9: trailing and doubled slashes and escapes in a path do not matter', async () => {
  const { id } = await api.register('Path_Walker');
  for (const path of [
    `${USERS}/${id}/`,
    `/api//json/accounts//users/${id}`,
    `${USERS.replace('u', '%75')}/${id}`,
  ]) {
    assert.equal((await api.get(path)).status, 200, path);
  }
});

test('H10: a sensible X-Request-Id comes back, another is replaced', async () => {
  const mine = 'abcdefghij-0123456789';
  const echoed = await api.get(LEADERBOARD, { headers: { 'X-Request-Id': mine } });
  assert.equal(echoed.headers['x-request-id'], mine);
  for (const bad of ['short', 'x'.repeat(201), 'spaces are not allowed here']) {
    const answer = await api.get(LEADERBOARD, { headers: { 'X-Request-Id': bad } });
    assert.notEqual(answer.headers['x-request-id'], bad);
    assertCommonHeaders(answer);
  }
});

test('H24: HEAD is GET without the body', async () => {
  const { id } = await api.register('Head_Only');
  for (const path of [`${USERS}/${id}`, LEADERBOARD]) {
    const get = await api.get(path);
    const head = await api.call('HEAD', path);
    assert.equal(head.status, 200);
    assert.equal(head.body, '');
    for (const name of ['content-length', 'content-type', 'etag', 'cache-control']) {
      assert.equal(head.headers[name], get.headers[name], name);
    }
  }
  const missing = await api.call('HEAD', `${USERS}/${ANY_UUID}`);
  assert.equal(missing.status, 404);
});

table(
  'H26: Content-Type of a POST',
  [
    [JSON_API, 201],
    ['Application/Vnd.API+JSON', 201],
    [`${JSON_API}; profile="https://example.org/p"`, 201],
    [`${JSON_API}; ext="https://example.org/e"`, 415],
    [`${JSON_API}; charset=utf-8`, 415],
    ['application/json', 415],
    ['application/x-www-form-urlencoded', 415],
    ['text/plain', 415],
    ['*/*', 415],
    ['garbage', 415],
    [undefined, 415],
  ],
  ([type]) => String(type),
  async ([type, status]) => {
    const answer = await api.create({ nickname: 'Typed' }, { headers: { 'Content-Type': type } });
    if (status === 201) assert.equal(answer.status, 201, answer.body);
    else assertErrors(answer, 415, ['UnsupportedMediaType']);
  },
);

table(
  'H27: Accept on a JSON:API route',
  [
    [undefined, 200],
    ['', 200],
    ['*/*', 200],
    ['application/*', 200],
    ['application/json', 200],
    [JSON_API, 200],
    ['text/html,*/*;q=0.8', 200],
    [`${JSON_API};q=0.5`, 200],
    [`${JSON_API};v=1, ${JSON_API}`, 200],
    [`${JSON_API};profile="x"`, 200],
    [`${JSON_API};v=1`, 406],
    [`${JSON_API};v=1, */*`, 406],
    [`${JSON_API};ext="x"`, 406],
    ['text/html', 406],
    [`${JSON_API};q=0`, 406],
  ],
  ([accept]) => String(accept),
  async ([accept, status]) => {
    const { id } = await api.register('Accepting');
    const answer = await api.get(`${USERS}/${id}`, { headers: { Accept: accept } });
    if (status === 200) {
      assert.equal(answer.status, 200, answer.body);
      assert.equal(answer.headers['content-type'], JSON_API, 'H28');
    } else {
      assertErrors(answer, 406, ['UnacceptableMediaType']);
    }
  },
);

test('H29: a body over the limit is 413, one at the limit is read', async () => {
  const document = '{"data":{"type":"user","attributes":{"nickname":"Padded"}}}';
  const atLimit = document.padEnd(65536);
  assert.equal((await api.call('POST', USERS, { body: atLimit })).status, 201);
  assertErrors(await api.call('POST', USERS, { body: `${atLimit} ` }), 413, ['PayloadTooLarge']);
});

const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const inNickname = (...parts) =>
  bytes('{"data":{"type":"user","attributes":{"nickname":"abc', ...parts, '"}}}');

table(
  'H30, H31: what is not strict RFC 8259 is InvalidJSON',
  [
    ['truncated', '{"data":'],
    ['trailing text', `${nickBody('abc')}x`],
    ['two documents', `${nickBody('abc')}${nickBody('abc')}`],
    ['blanks only', ' \r\n\t'],
    ['byte order mark', `\u{feff}${nickBody('abc')}`],
    ['raw control character in a string', inNickname([0x01])],
    ['raw line break in a string', inNickname('\n')],
    ['unknown escape', inNickname('\\q')],
    ['short \\u escape', inNickname('\\u12')],
    ['lone high surrogate', inNickname('\\ud800')],
    ['lone low surrogate', inNickname('\\udc00')],
    ['reversed surrogates', inNickname('\\udc00\\ud800')],
    ['overlong UTF-8', inNickname([0xc0, 0xaf])],
    ['UTF-8 encoded surrogate', inNickname([0xed, 0xa0, 0x80])],
    ['beyond U+10FFFF', inNickname([0xf4, 0x90, 0x80, 0x80])],
    ['cut UTF-8 sequence', inNickname([0xe3, 0x81])],
    ['Latin-1', inNickname([0xe9])],
    ['single quotes', "{'data':{'type':'user'}}"],
    ['NaN', '{"data":{"type":"user","attributes":{"stamps_collected":NaN}}}'],
    ['Infinity', '{"data":{"type":"user","attributes":{"stamps_collected":-Infinity}}}'],
    ['leading zero', stampsBody('07')],
    ['plus sign', stampsBody('+7')],
    ['bare fraction', stampsBody('.5')],
    ['hexadecimal', stampsBody('0x7')],
    ['trailing comma', '{"data":{"type":"user",}}'],
    ['comment', '{"data":{"type":"user"}/* x */}'],
    ['unquoted name', '{data:{"type":"user"}}'],
    ['form feed as a blank', '\f{"data":{"type":"user"}}'],
    ['NUL behind the document', `${nickBody('abc')}\0`],
  ],
  ([name]) => name,
  async ([, body]) => {
    assertErrors(await api.call('POST', USERS, { body }), 400, ['InvalidJSON']);
  },
);

test('H31: escaped NUL is valid JSON and no valid nickname (H50)', async () => {
  const answer = await api.call('POST', USERS, { body: inNickname('\\u0000def') });
  assertErrors(answer, 400, ['invalid_attribute']);
  assert.deepEqual(answer.pointers, ['/data/attributes/nickname']);
});

test('H32: nesting is bounded at 32', async () => {
  const nested = (depth) => {
    const inner = depth - 2; // the document and data are two
    return `{"data":{"type":"user","meta":${'['.repeat(inner)}${']'.repeat(inner)}}}`;
  };
  assert.equal((await api.call('POST', USERS, { body: nested(32) })).status, 201);
  assert.equal((await api.call('POST', USERS, { body: nested(33) })).status, 400);
  assert.equal((await api.call('POST', USERS, { body: nested(20_000) })).status, 400);
});

table(
  'H32: duplicate member names are refused at every level',
  [
    '{"data":{"type":"user"},"data":{"type":"user"}}',
    '{"data":{"type":"user","type":"user"}}',
    '{"data":{"type":"user","attributes":{"nickname":"abc","nickname":"def"}}}',
    '{"data":{"type":"user","attributes":{"nickname":"abc","\\u006eickname":"def"}}}',
  ],
  (body) => body,
  async (body) => {
    const answer = await api.call('POST', USERS, { body });
    assertErrors(answer, 400);
  },
);

test('H94: a request with too long a head is the web server\'s to refuse, and costs nobody else', async () => {
  const long = 'x'.repeat(20_000);
  for (const answer of [
    await api.get(`${LEADERBOARD}?${long}`),
    await api.get(LEADERBOARD, { headers: { 'X-Long': long } }),
  ]) {
    assert.equal(answer.status, 431);
    assert.equal(answer.headers['x-request-id'], undefined, 'it never reached tako-api');
  }
  assert.equal((await api.get(LEADERBOARD)).status, 200);
});
