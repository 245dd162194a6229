// SPDX-License-Identifier: MIT
/*
 * What an operator's settings change in the answers. Each request is a plain CGI run of the same
 * program, so that every one can have settings of its own.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { JSON_API, PAGE_ORIGIN } from '../support/http.mjs';
import { run } from '../support/proc.mjs';
import { TAKO_BIN, startStack } from '../support/stack.mjs';
import { table, test } from '../support/testing.mjs';

const USERS = '/api/json/accounts/users';
const LEADERBOARD = '/api/json/leaderboard';

const stack = await startStack();

/** One request as a web server hands it to a CGI program: {status, headers, json}. */
async function request(settings, { method = 'GET', path, token = stack.token, headers = {}, attributes }) {
  const input = attributes === undefined ? '' : JSON.stringify({ data: { type: 'user', attributes } });
  const variables = {
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REMOTE_ADDR: '127.0.0.1',
    REQUEST_METHOD: method,
    REQUEST_URI: path,
    CONTENT_TYPE: JSON_API,
    CONTENT_LENGTH: String(Buffer.byteLength(input)),
    HTTP_ACCEPT: JSON_API,
    HTTP_AUTHORIZATION: `Bearer ${token}`,
    ...headers,
  };
  const env = { ...stack.programEnv, ...settings, ...variables };
  const { code, stdout, stderr } = await run(join(TAKO_BIN, 'tako-api'), [], { env, input });
  assert.equal(code, 0, stderr);
  const [head, body] = stdout.split('\r\n\r\n');
  const lines = head.split('\r\n').map((line) => line.split(': '));
  const fields = Object.fromEntries(lines.map(([name, ...value]) => [name.toLowerCase(), value.join(': ')]));
  return { status: parseInt(fields.status, 10), headers: fields, json: body ? JSON.parse(body) : undefined };
}

const create = (settings, attributes, more) =>
  request(settings, { method: 'POST', path: USERS, attributes, ...more });

table(
  'H14: links begin with the configured address, or are paths; Host is never reflected',
  [
    ['unset', {}, ''],
    ['set', { TAKO_PUBLIC_URL: 'https://api.example' }, 'https://api.example'],
    ['with a slash', { TAKO_PUBLIC_URL: 'https://api.example/' }, 'https://api.example'],
  ],
  ([name]) => name,
  async ([, settings, base]) => {
    const headers = { HTTP_HOST: 'evil.example', HTTP_X_FORWARDED_HOST: 'evil.example', SERVER_NAME: 'evil.example' };
    const path = `${USERS}/?fields[user]=nickname,id`;
    const { status, json, headers: sent } = await create(settings, {}, { path, headers });
    assert.equal(status, 201);
    assert.equal(json.links.self, `${base}${path}`);
    assert.equal(json.data.links.self, `${base}${USERS}/${json.data.id}`);
    assert.equal(sent.location, json.data.links.self);
    assert.ok(!JSON.stringify([json, sent]).includes('evil'));
  },
);

test('H18, H96: while the shared token is changed, old and new ones pass', async () => {
  const both = { HOLOQUEST_API_TOKEN: 'the-old-one,the-new-one' };
  for (const token of ['the-old-one', 'the-new-one']) {
    assert.equal((await request(both, { path: LEADERBOARD, token })).status, 200, token);
  }
  for (const token of ['the-old-one,the-new-one', 'the-old', '']) {
    assert.equal((await request(both, { path: LEADERBOARD, token })).status, 401, token);
  }
});

table(
  'H21: with a list of origins only those are let in, and caches are told',
  [
    ['on the list', PAGE_ORIGIN, PAGE_ORIGIN],
    ['below a wildcard', 'https://preview-1.netlify.app', 'https://preview-1.netlify.app'],
    ['not on it', 'https://evil.example', undefined],
    ['no origin', undefined, undefined],
  ],
  ([name]) => name,
  async ([, origin, allowed]) => {
    const settings = { TAKO_CORS_ORIGINS: `${PAGE_ORIGIN},https://*.netlify.app` };
    const headers = origin === undefined ? {} : { HTTP_ORIGIN: origin };
    const answer = await create(settings, {}, { headers });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers['access-control-allow-origin'], allowed);
    assert.equal(answer.headers.vary, 'Accept, Origin');
    assert.equal(answer.headers['access-control-allow-credentials'], undefined);
  },
);

test('H52, H97: scores end at the number of stamps of the event', async () => {
  const settings = { TAKO_STAMPS_MAX: '10' };
  assert.equal((await create(settings, { stamps_collected: 10 })).status, 201);
  const { status, json } = await create(settings, { stamps_collected: 11 });
  assert.equal(status, 400);
  assert.equal(json.errors[0].detail, 'stamps_collected: must be between 0 and 10.');
});

test('D1, H46: the longest nickname is a setting', async () => {
  const settings = { TAKO_NICKNAME_MAX: '5' };
  assert.equal((await create(settings, { nickname: 'abcde' })).status, 201);
  assert.equal((await create(settings, { nickname: 'abcdef' })).status, 400);
});

test('D7, H86: the cap of the leaderboard is a setting, and page[limit] stays below it', async () => {
  for (const nickname of ['One', 'Two', 'Three']) await create({}, { nickname });
  const settings = { TAKO_LEADERBOARD_MAX: '2' };
  const rows = async (query) => (await request(settings, { path: `${LEADERBOARD}${query}` })).json.data?.length;
  assert.deepEqual([await rows(''), await rows('?page[limit]=1')], [2, 1]);
  assert.equal((await request(settings, { path: `${LEADERBOARD}?page[limit]=3` })).status, 400);
});

test('H29: the largest body is a setting', async () => {
  const attributes = { nickname: 'x'.repeat(1024) };
  assert.equal((await create({ TAKO_BODY_MAX: '1024' }, attributes)).status, 413);
  assert.equal((await create({ TAKO_BODY_MAX: '2048' }, attributes)).status, 400);
});
