// SPDX-License-Identifier: MIT
/*
 * The API's description of itself (http-api.md H105) held against the OpenAPI 3.1 meta schema, and real
 * answers of every kind held against the schemas it serves. tests/unit/fcgi-api/test_description.c
 * holds the document against the route table.
 */
import assert from 'node:assert/strict';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { ANY_UUID, JSON_API, assertCommonHeaders } from '../support/http.mjs';
import { startStack } from '../support/stack.mjs';
import { table, test } from '../support/testing.mjs';

const API = '/api/json';
const USERS = `${API}/accounts/users`;
const LEADERBOARD = `${API}/leaderboard`;

const stack = await startStack({ env: { TAKO_STAMPS_MAX: '10', TAKO_LEADERBOARD_MAX: '50' } });
const { api } = stack;
const admin = { Authorization: `Bearer ${stack.adminToken}` };
const { id } = await api.register('Described');

const openApi = (await api.send('GET', `${API}/open_api`)).json;
const jsonSchema = (await api.send('GET', `${API}/json_schema`)).json;

function newAjv() {
  const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });
  addFormats(ajv);
  return ajv;
}

table(
  'H105: both documents are public, cacheable, under both names, for GET and HEAD',
  [
    [`${API}/open_api`, 'application/json'],
    [`${API}/accounts/open_api`, 'application/json'],
    [`${API}/json_schema`, 'application/schema+json'],
    [`${API}/accounts/json_schema/`, 'application/schema+json'],
  ],
  ([path]) => path,
  async ([path, type]) => {
    const answer = await api.send('GET', `${path}?unknown=1`, { headers: { Accept: 'text/html' } });
    assert.equal(answer.status, 200);
    assertCommonHeaders(answer);
    assert.equal(answer.headers['content-type'], type);
    const known = { headers: { 'If-None-Match': answer.headers.etag } };
    assert.equal((await api.send('GET', path, known)).status, 304);
    const head = await api.send('HEAD', path);
    assert.equal(head.headers['content-length'], String(Buffer.byteLength(answer.body)));
    assert.equal((await api.send('POST', path, { body: '' })).status, 405);
  },
);

test('H105: the OpenAPI document is one, by its meta schema', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(openApi));
  assert.ok(valid, JSON.stringify(errors, null, 2));
  assert.equal(openApi.openapi.slice(0, 3), '3.1');
});

test('H105: the schemas are valid, and the same in both documents', () => {
  const ajv = newAjv();
  assert.ok(ajv.validateSchema(jsonSchema), ajv.errorsText());
  const moved = JSON.stringify(openApi.components.schemas).replaceAll('#/components/schemas/', '#/$defs/');
  assert.deepEqual(JSON.parse(moved), jsonSchema.$defs);
});

/** A validator for one of the schemas served. */
function schemaNamed(name) {
  const { $defs } = jsonSchema;
  return newAjv().compile({ $defs, $ref: `#/$defs/${name}` });
}

/** The schema that the OpenAPI document promises for this answer. */
function promised(path, method, answer) {
  const operation = openApi.paths[path]?.[method.toLowerCase()];
  assert.ok(operation, `${method} ${path} is described`);
  let response = operation.responses[answer.status];
  assert.ok(response, `${method} ${path} may answer ${answer.status}`);
  if (response.$ref) response = openApi.components.responses[response.$ref.split('/').at(-1)];
  for (const [name, header] of Object.entries(response.headers ?? {})) {
    const { required } = openApi.components.headers[header.$ref.split('/').at(-1)];
    if (required) assert.ok(answer.headers[name.toLowerCase()], `${name} is sent`);
  }
  if (!response.content) return null;
  const [type, { schema }] = Object.entries(response.content)[0];
  assert.equal(answer.headers['content-type'].split(';')[0], type);
  return schema.$ref.split('/').at(-1);
}

function assertPromised(path, method, answer) {
  const name = promised(path, method, answer);
  if (name === null) return assert.equal(answer.body, '');
  const validate = schemaNamed(name);
  assert.ok(validate(answer.json), JSON.stringify([answer.json, validate.errors], null, 2));
}

const body = (attributes, more) => ({ json: { data: { type: 'user', attributes, ...more } } });
const ONE = `${USERS}/{id}`;
const BAD = { headers: { Authorization: 'Bearer wrong' } };

// [described path, method, address, options, status]
const EXCHANGES = [
  [USERS, 'POST', USERS, body({ nickname: 'New_One' }), 201],
  [USERS, 'POST', USERS, body({}), 201],
  [USERS, 'POST', `${USERS}?fields[user]=`, body({}), 201],
  [USERS, 'POST', USERS, { body: '{' }, 400],
  [USERS, 'POST', USERS, body({ nickname: 'x'.repeat(25), stamps_collected: -1, a: 1 }), 400],
  [USERS, 'POST', USERS, { ...body({}), ...BAD }, 401],
  [USERS, 'POST', USERS, body({}, { id: ANY_UUID }), 403],
  [USERS, 'POST', USERS, { ...body({}), headers: { Accept: 'text/html' } }, 406],
  [USERS, 'POST', USERS, { json: { data: { type: 'dog' } } }, 409],
  [USERS, 'POST', USERS, { body: 'x'.repeat(70_000) }, 413],
  [USERS, 'POST', USERS, { ...body({}), headers: { 'Content-Type': 'text/plain' } }, 415],
  [USERS, 'POST', USERS, { ...body({}), headers: { 'Idempotency-Key': 'k'.repeat(256) } }, 400],
  [USERS, 'GET', USERS, { headers: admin }, 200],
  [USERS, 'GET', `${USERS}?page[limit]=1&page[offset]=1&sort=-id`, { headers: admin }, 200],
  [USERS, 'GET', `${USERS}?sort=foo&page=1&filter=2&include=x&y`, { headers: admin }, 400],
  [USERS, 'GET', USERS, {}, 403],
  [ONE, 'GET', `${USERS}/${id}`, {}, 200],
  [ONE, 'GET', `${USERS}/${id}?fields[user]=nickname`, {}, 200],
  [ONE, 'GET', `${USERS}/${id}?fields[dog]=x&fields=y&fields[user]=z`, {}, 400],
  [ONE, 'GET', `${USERS}/${id}`, BAD, 401],
  [ONE, 'GET', `${USERS}/${ANY_UUID}`, {}, 404],
  [ONE, 'GET', `${USERS}/${id}`, { headers: { Accept: 'text/html' } }, 406],
  [ONE, 'GET', `${USERS}/${id}`, { headers: { 'Content-Type': `${JSON_API};a=b` } }, 415],
  [ONE, 'PATCH', `${USERS}/${id}`, body({ stamps_collected: 3 }), 200],
  [ONE, 'PATCH', `${USERS}/${id}`, body({ nickname: null }, { id }), 200],
  [ONE, 'PATCH', `${USERS}/${id}`, body({ nickname: 'ab' }), 400],
  [ONE, 'PATCH', `${USERS}/${ANY_UUID}`, body({}), 404],
  [ONE, 'PATCH', `${USERS}/${id}`, body({}, { id: ANY_UUID }), 409],
  [ONE, 'PATCH', `${USERS}/${id}`, { ...body({}), headers: { 'If-Match': '"x"' } }, 412],
  [LEADERBOARD, 'GET', LEADERBOARD, {}, 200],
  [LEADERBOARD, 'GET', `${LEADERBOARD}?page[limit]=51`, {}, 400],
  [LEADERBOARD, 'GET', LEADERBOARD, BAD, 401],
  [LEADERBOARD, 'GET', LEADERBOARD, { headers: { Accept: 'text/html' } }, 406],
];

table(
  'H105: answers are what the document promises',
  EXCHANGES,
  ([, method, address, , status]) => `${method} ${address} ${status}`,
  async ([path, method, address, options, status]) => {
    const answer = await api.call(method, address, options);
    assert.equal(answer.status, status, answer.body);
    assertPromised(path, method, answer);
  },
);

test('H105: 304, 422 and 503 are what the document promises', async () => {
  const etag = (await api.get(`${USERS}/${id}`)).headers.etag;
  const known = await api.get(`${USERS}/${id}`, { headers: { 'If-None-Match': etag } });
  assert.equal(known.status, 304);
  assertPromised(ONE, 'GET', known);
  const key = { headers: { 'Idempotency-Key': 'described' } };
  await api.create({}, key);
  const reused = await api.create({ stamps_collected: 1 }, key);
  assert.equal(reused.status, 422);
  assertPromised(USERS, 'POST', reused);
  await stack.control('stop', 'postgres');
  try {
    const away = await api.create({});
    assert.equal(away.status, 503);
    assertPromised(USERS, 'POST', away);
  } finally {
    await stack.control('start', 'postgres');
  }
});

test('H105: a request schema accepts what the API accepts and refuses what it refuses', async () => {
  const validate = schemaNamed('NewUserDocument');
  const documents = [
    { data: { type: 'user' } },
    { data: { type: 'user', attributes: { nickname: null, stamps_collected: '7' } } },
    { data: { type: 'user', attributes: { stamps_collected: 10 } }, meta: {} },
    { data: { type: 'user', attributes: { stamps_collected: 11 } } },
    { data: { type: 'user', attributes: { stamps_collected: 1.5 } } },
    { data: { type: 'user', attributes: { nickname: 5 } } },
    { data: { type: 'user', attributes: { foo: 1 } } },
    { data: { type: 'user', id: ANY_UUID } },
    { data: { type: 'user', relationships: { x: {} } } },
    { data: { type: 'users' } },
    { data: {} },
    {},
  ];
  const verdicts = await Promise.all(
    documents.map(async (json) => (await api.call('POST', USERS, { json })).status === 201),
  );
  assert.deepEqual(documents.map((json) => validate(json)), verdicts);
});
