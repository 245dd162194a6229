// SPDX-License-Identifier: MIT
/*
 * Users and the leaderboard over HTTP: document shapes, attribute rules with their boundaries,
 * create, update, read, and the events that brokers hear (http-api.md, H33-H88).
 * The database's time zone is not UTC, so that H63 is really tested.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { generateNickname } from 'hololive-nick-gen';
import { ANY_UUID, UUID, assertCommonHeaders, assertErrors, assertUserDocument } from '../support/http.mjs';
import { startStack } from '../support/stack.mjs';
import { table, test } from '../support/testing.mjs';

const USERS = '/api/json/accounts/users';
const LEADERBOARD = '/api/json/leaderboard';
const MAX_STAMPS = Number.MAX_SAFE_INTEGER; // H52: the default of the setting

const stack = await startStack();
const { api } = stack;
await stack.sql(`do $$ begin
  execute format('alter database %I set timezone to ''Asia/Tokyo''', current_database());
end $$`);
await stack.control('restart', 'api');

/** A row as an older program might have left it (H57). */
async function legacyUser({ nickname = null, stamps = null, ageInHours = 24 }) {
  const id = randomUUID();
  const name = nickname === null ? 'null' : `$n$${nickname}$n$`;
  const at = `(now() at time zone 'utc') - interval '${ageInHours} hours'`;
  await stack.sql(`insert into users (id, nickname, stamps_collected, inserted_at, updated_at)
                   values ('${id}', ${name}, ${stamps}, ${at}, ${at})`);
  return id;
}

const row = async (id) =>
  JSON.parse(
    await stack.sql(`select json_build_object(
      'nickname', nickname, 'stamps', stamps_collected,
      'inserted', extract(epoch from inserted_at), 'updated', extract(epoch from updated_at),
      'age', extract(epoch from (now() at time zone 'utc') - inserted_at))
      from users where id = '${id}'`),
  );

const withData = (data) => JSON.stringify({ data });
const withAttributes = (attributes) => withData({ type: 'user', attributes });

table(
  'H33-H42: document shapes, on POST',
  [
    ['H33 empty body', '', 400, ['InvalidBody'], [undefined]],
    ['H33 {}', '{}', 400, ['InvalidBody'], ['']],
    ['H33 []', '[]', 400, ['InvalidBody'], ['']],
    ['H33 null', 'null', 400, ['InvalidBody'], ['']],
    ['H33 string', '"x"', 400, ['InvalidBody'], ['']],
    ['H33 number', '1', 400, ['InvalidBody'], ['']],
    ['H34 data null', '{"data":null}', 400, ['InvalidBody'], ['/data']],
    ['H34 data []', '{"data":[]}', 400, ['InvalidBody'], ['/data']],
    ['H34 data string', '{"data":"x"}', 400, ['InvalidBody'], ['/data']],
    ['H35 other type', '{"data":{"type":"users"}}', 409, ['Conflict'], ['/data/type']],
    ['H35 non-string type', '{"data":{"type":5}}', 400, ['InvalidBody'], ['/data/type']],
    ['H36 no type', '{"data":{"attributes":{}}}', 400, ['InvalidBody'], ['/data']],
    ['H36 empty data', '{"data":{}}', 400, ['InvalidBody'], ['/data']],
    ['H37 attributes null', withAttributes(null), 400, ['InvalidBody'], ['/data/attributes']],
    ['H37 attributes []', withAttributes([]), 400, ['InvalidBody'], ['/data/attributes']],
    ['H37 attributes string', withAttributes('x'), 400, ['InvalidBody'], ['/data/attributes']],
    ['H38 unknown attribute', withAttributes({ foo: 1 }), 400, ['InvalidBody'], ['/data/attributes/foo']],
    ['H38 id', withAttributes({ id: ANY_UUID }), 400, ['InvalidBody'], ['/data/attributes/id']],
    [
      'H38 inserted_at',
      withAttributes({ inserted_at: 'x' }),
      400,
      ['InvalidBody'],
      ['/data/attributes/inserted_at'],
    ],
    ['H38 escaped name', withAttributes({ 'a/b~c': 1 }), 400, ['InvalidBody'], ['/data/attributes/a~1b~0c']],
    ['H39 client id', withData({ type: 'user', id: ANY_UUID }), 403, ['Forbidden'], ['/data/id']],
    ['H39 null id', withData({ type: 'user', id: null }), 403, ['Forbidden'], ['/data/id']],
    [
      'H41 relationships []',
      withData({ type: 'user', relationships: [] }),
      400,
      ['InvalidBody'],
      ['/data/relationships'],
    ],
    [
      'H41 relationships null',
      withData({ type: 'user', relationships: null }),
      400,
      ['InvalidBody'],
      ['/data/relationships'],
    ],
    [
      'H42 a relationship',
      withData({ type: 'user', relationships: { x: {} } }),
      400,
      ['InvalidBody'],
      ['/data/relationships/x'],
    ],
  ],
  ([name]) => name,
  async ([, body, status, codes, pointers]) => {
    const answer = await api.call('POST', USERS, { body });
    assertErrors(answer, status, codes);
    assert.deepEqual(answer.pointers, pointers);
  },
);

test('H38: every unknown attribute is reported', async () => {
  const answer = await api.create({ one: 1, nickname: 'Known', two: 2 });
  assertErrors(answer, 400, ['InvalidBody', 'InvalidBody']);
  assert.deepEqual(answer.pointers.sort(), ['/data/attributes/one', '/data/attributes/two']);
});

test('H7, H43, H89: an error document in full', async () => {
  const answer = await api.create({ foo: 1 });
  assert.deepEqual(answer.json, {
    errors: [
      {
        code: 'InvalidBody',
        detail: 'Unknown attribute.',
        id: answer.json.errors[0].id,
        source: { pointer: '/data/attributes/foo' },
        status: '400',
        title: 'Invalid Body',
      },
    ],
    jsonapi: { version: '1.0' },
  });
});

test('H40, H41: members that mean nothing here are ignored', async () => {
  const body = JSON.stringify({
    data: { type: 'user', meta: { a: 1 }, links: {}, lid: 'x', relationships: {}, attributes: {} },
    meta: {},
    jsonapi: { version: '1.1' },
    links: {},
    included: [],
    extra: true,
  });
  assert.equal((await api.call('POST', USERS, { body })).status, 201);
});

table(
  'H44: a nickname of another type',
  [5, true, ['a'], { a: 1 }],
  (nickname) => JSON.stringify(nickname),
  async (nickname) => {
    const answer = await api.create({ nickname });
    assertErrors(answer, 400, ['InvalidBody']);
    assert.deepEqual(answer.pointers, ['/data/attributes/nickname']);
  },
);

const WHITE_SPACE =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a' +
  '\u2028\u2029\u202f\u205f\u3000';
const FLAG = '\u{1f1ef}\u{1f1f5}'; // one grapheme cluster, 8 bytes
const FAMILY = '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}'; // one cluster, 25 bytes
const E_ACUTE = 'e\u0301'; // one cluster, 3 bytes

table(
  'H45-H51, D1: nicknames that are stored, on create',
  [
    ['H45 white space around is trimmed', `${WHITE_SPACE}Calm KFP${WHITE_SPACE}`, 'Calm KFP'],
    ['H45 zero-width space is no white space', '\u200babc\u200b', '\u200babc\u200b'],
    ['H45 inner blanks stay', 'a  b', 'a  b'],
    ['H46 one letter', 'a', 'a'],
    ['H46 24 letters', 'a'.repeat(24), 'a'.repeat(24)],
    ['H46 24 flags', FLAG.repeat(24), FLAG.repeat(24)],
    ['H46 24 combined letters', E_ACUTE.repeat(24), E_ACUTE.repeat(24)],
    ['H46 24 letters after trimming', ` ${'a'.repeat(24)} `, 'a'.repeat(24)],
    ['H47 255 bytes', `${FAMILY.repeat(10)}abcde`, `${FAMILY.repeat(10)}abcde`],
    ['H47 four marks in a row', 'abce\u0301\u0301\u0301\u0301', 'abce\u0301\u0301\u0301\u0301'],
    ['H48 empty is null', '', null],
    ['H48 white space only is null', WHITE_SPACE, null],
    ['H44 null is null', null, null],
    ['H58 no normalisation', 'Ame\u0301lia', 'Ame\u0301lia'],
    ['H55, H100 markup is text', '<b>&"\\/</b>', '<b>&"\\/</b>'],
    ['D1 the longest name that the page makes', 'Confident_Mion_Family', 'Confident_Mion_Family'],
    ['H51 a word inside a word', 'class', 'class'],
    ['H51 letters around', 'xfuckx', 'xfuckx'],
    ['H51 digit behind', 'shit1', 'shit1'],
    ['H51 spaced out', 'f u c k', 'f u c k'],
    ['H51 other letters before', '\u30b9shit', '\u30b9shit'],
  ],
  ([name]) => name,
  async ([, nickname, stored]) => {
    const answer = await api.create({ nickname });
    const { id } = answer.json.data ?? {};
    assertUserDocument(answer, 201, { id, nickname: stored, stamps: 0, self: USERS });
    assert.equal((await row(id)).nickname, stored);
  },
);

const LENGTH_ON_CREATE = 'nickname: length must be ';

table(
  'H46-H51, H90: nicknames that are refused, on create: 400, never 422',
  [
    ['H46 25 letters', 'a'.repeat(25), LENGTH_ON_CREATE],
    ['H46 25 flags', FLAG.repeat(25), LENGTH_ON_CREATE],
    ['H46 25 combined letters', E_ACUTE.repeat(25), LENGTH_ON_CREATE],
    ['H47 256 bytes', `${FAMILY.repeat(10)}abcdef`],
    ['H47 five marks in a row', 'abce\u0301\u0301\u0301\u0301\u0301'],
    ['H50 U+0000', 'abc\u0000def'],
    ['H50 U+0001', 'abc\u0001def'],
    ['H50 inner tab', 'abc\tdef'],
    ['H50 inner line break', 'abc\ndef'],
    ['H50 U+001F at the end', 'abc\u001f'],
    ['H50 U+007F', 'abc\u007fdef'],
    ['H50 inner U+0085', 'abc\u0085def'],
    ['H50 U+009F', 'abc\u009fdef'],
    ['H50 bidi override', 'abc\u202edef'],
    ['H50 bidi isolate', 'abc\u2066def'],
    ['H50 pop isolate', 'abc\u2069def'],
    ['H50 replacement character', 'abc\ufffddef'],
    ['H50 invisible characters only', '\u200b\u200b\u200d\u2060'],
    ['H51 a word', 'shit', 'nickname: contains a word that is not allowed.'],
    ['H51 upper case, punctuation', 'SHIT.', 'nickname: contains a word that is not allowed.'],
    ['H51 behind a blank', 'my ass', 'nickname: contains a word that is not allowed.'],
    ['H51 before a dash', 'fuck-you', 'nickname: contains a word that is not allowed.'],
    ['H51 underscore is a boundary', 'fuck_you', 'nickname: contains a word that is not allowed.'],
    ['H51 emoji behind', 'shit\u{1f600}', 'nickname: contains a word that is not allowed.'],
    ['H51 long s folds', '\u017fhit', 'nickname: contains a word that is not allowed.'],
    ['H51 full width folds', '\uff53\uff48\uff49\uff54', 'nickname: contains a word that is not allowed.'],
  ],
  ([name]) => name,
  async ([, nickname, detail = 'nickname: ']) => {
    const answer = await api.create({ nickname });
    assertErrors(answer, 400, ['invalid_attribute']);
    const [error] = answer.json.errors;
    assert.equal(error.title, 'invalid_attribute');
    assert.deepEqual(error.source, { pointer: '/data/attributes/nickname' });
    assert.ok(error.detail.startsWith(detail), error.detail);
    assert.ok(!error.detail.includes(nickname), 'the value is not quoted back (H99)');
  },
);

/** All that the page's own generator can say: it only gives one at a time, by chance. */
function generatedNames() {
  const names = new Set();
  for (let draws = 0; draws < 100_000 && names.size < 585; draws++) names.add(generateNickname());
  assert.equal(names.size, 585);
  return [...names];
}

test('H46, H51, D1: every name that the page generates registers and can be set', async () => {
  const id = await stack.createUser();
  const refused = [];
  for (const nickname of generatedNames()) {
    const [created, updated] = await Promise.all([api.create({ nickname }), api.update(id, { nickname })]);
    if (created.status !== 201 || created.json.data.attributes.nickname !== nickname) refused.push(nickname);
    if (updated.status !== 200 || updated.json.data.attributes.nickname !== nickname) refused.push(nickname);
  }
  assert.deepEqual(refused, []);
});

test('H46: the length limits of an update are 3 and 24', async () => {
  const { id } = await api.register('Boundary');
  for (const unit of ['a', FLAG, E_ACUTE]) {
    assert.equal((await api.update(id, { nickname: unit.repeat(3) })).status, 200);
    assert.equal((await api.update(id, { nickname: unit.repeat(24) })).status, 200);
    for (const nickname of [unit.repeat(2), unit.repeat(25), ` ${unit.repeat(2)} `]) {
      const answer = await api.update(id, { nickname });
      assertErrors(answer, 400, ['invalid_attribute']);
      assert.equal(answer.json.errors[0].detail, 'nickname: length must be between 3 and 24 characters.');
    }
  }
  assert.equal((await row(id)).nickname, E_ACUTE.repeat(24), 'nothing was written by the refused');
});

table(
  'H52: stamps that are accepted',
  [
    ['7', 7],
    ['"7"', 7],
    ['"+7"', 7],
    ['0', 0],
    ['"007"', 7],
    [String(MAX_STAMPS), MAX_STAMPS],
    [`"${MAX_STAMPS}"`, MAX_STAMPS],
  ],
  ([text]) => text,
  async ([text, stamps]) => {
    const body = `{"data":{"type":"user","attributes":{"stamps_collected":${text}}}}`;
    const created = await api.call('POST', USERS, { body });
    const { id } = created.json.data ?? {};
    assertUserDocument(created, 201, { id, nickname: null, stamps, self: USERS });
    const { id: other } = await api.register('Stamps');
    const updated = await api.call('PATCH', `${USERS}/${other}`, { body });
    assertUserDocument(updated, 200, { id: other, nickname: 'Stamps', stamps });
  },
);

table(
  'H52: stamps that are refused',
  [
    ['-1', 'invalid_attribute'],
    ['"-1"', 'invalid_attribute'],
    [String(MAX_STAMPS + 1), 'invalid_attribute'],
    ['7.5'],
    ['7.0'],
    ['1e2'],
    ['"abc"'],
    ['"7.5"'],
    ['""'],
    ['" 7"'],
    ['null'],
    ['true'],
    ['[]'],
    ['{}'],
    ['9223372036854775807'],
    ['9223372036854775808'],
    ['-9223372036854775809'],
    ['18446744073709551616'],
    [`"${'9'.repeat(1000)}"`],
  ],
  ([text]) => text.slice(0, 40),
  async ([text, code]) => {
    const body = `{"data":{"type":"user","attributes":{"stamps_collected":${text}}}}`;
    const { id } = await api.register('Refused_Stamps');
    for (const [method, path] of [
      ['POST', USERS],
      ['PATCH', `${USERS}/${id}`],
    ]) {
      const answer = await api.call(method, path, { body });
      assertErrors(answer, 400, code && [code]);
      assert.deepEqual(answer.pointers, ['/data/attributes/stamps_collected']);
    }
    assert.equal((await row(id)).stamps, 0);
  },
);

test('H53: rules are for what is sent, so an old bad name does not block stamps', async () => {
  const id = await legacyUser({ nickname: 'shit', stamps: 1 });
  assertUserDocument(await api.update(id, { stamps_collected: 2 }), 200, {
    id,
    nickname: 'shit',
    stamps: 2,
  });
});

test('H54: all violations are reported, the nickname first', async () => {
  const { id } = await api.register('Both_Wrong');
  const answer = await api.update(id, { stamps_collected: -1, nickname: 'ab' });
  assertErrors(answer, 400, ['invalid_attribute', 'invalid_attribute']);
  assert.deepEqual(answer.pointers, ['/data/attributes/nickname', '/data/attributes/stamps_collected']);
});

test('H55: text is sent as it is, only what JSON demands is escaped', async () => {
  const nickname = '\u30bf\u30b3 \u{1f419} </b>';
  const answer = await api.create({ nickname });
  assert.ok(answer.body.includes(`"nickname":"${nickname}"`), answer.body);
});

test('H57: legacy rows are shown as they are', async () => {
  for (const [nickname, stamps] of [
    [null, null],
    ['ab', -5],
    ['n'.repeat(300), 3],
  ]) {
    const id = await legacyUser({ nickname, stamps });
    assertUserDocument(await api.get(`${USERS}/${id}`), 200, { id, nickname, stamps });
  }
});

test('H60, H61, H63: a created user', async () => {
  const answer = await api.create({ nickname: 'Calm_Takodachi' });
  const { id } = answer.json.data;
  assert.match(id, UUID);
  assertUserDocument(answer, 201, { id, nickname: 'Calm_Takodachi', stamps: 0, self: USERS });
  assert.equal(answer.headers.location, answer.json.data.links.self);
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.match(answer.headers.etag, /^"[^"]+"$/);
  const stored = await row(id);
  assert.equal(stored.inserted, stored.updated);
  assert.ok(Math.abs(stored.age) < 300, `UTC, whatever the time zone: ${stored.age} s old`);
});

test('H60: links.self is the request as it was sent', async () => {
  const body = withAttributes({ nickname: 'Self_Link' });
  const answer = await api.call('POST', `${USERS}/`, { body });
  assert.equal(answer.json.links.self, `${USERS}/`);
});

test('H62: the minimal registration', async () => {
  for (const body of [withData({ type: 'user' }), withAttributes({})]) {
    const answer = await api.call('POST', USERS, { body });
    const { id } = answer.json.data ?? {};
    assertUserDocument(answer, 201, { id, nickname: null, stamps: 0, self: USERS });
  }
});

test('H49, H64, H65: every POST is a new user, names may repeat, stamps may be given', async () => {
  const first = await api.create({ nickname: 'Twin_Name', stamps_collected: 4 });
  const second = await api.create({ nickname: 'Twin_Name' });
  assert.equal(first.json.data.attributes.stamps_collected, 4);
  assert.notEqual(first.json.data.id, second.json.data.id);
});

test('H67, H68: an update changes what was sent and answers with the whole user', async () => {
  const { id, etag } = await api.register('Before');
  const stamped = await api.update(id, { stamps_collected: 3 });
  assertUserDocument(stamped, 200, { id, nickname: 'Before', stamps: 3 });
  assert.notEqual(stamped.headers.etag, etag);
  assertUserDocument(await api.update(id, { nickname: 'After' }), 200, { id, nickname: 'After', stamps: 3 });
  const stored = await row(id);
  assert.deepEqual([stored.nickname, stored.stamps], ['After', 3]);
  assert.ok(stored.updated > stored.inserted);
});

test('H68, H69: nothing to change writes nothing', async () => {
  const { id, etag } = await api.register('Unchanged');
  const before = await row(id);
  for (const attributes of [
    {},
    undefined,
    { nickname: 'Unchanged' },
    { nickname: ' Unchanged ', stamps_collected: 0 },
  ]) {
    const answer = await api.update(id, attributes);
    assertUserDocument(answer, 200, { id, nickname: 'Unchanged', stamps: 0 });
    assert.equal(answer.headers.etag, etag);
  }
  assert.equal((await row(id)).updated, before.updated);
});

test('H48: an empty nickname removes the name and the user from the leaderboard', async () => {
  const { id } = await api.register('Shy_Person');
  assertUserDocument(await api.update(id, { nickname: '' }), 200, { id, nickname: null, stamps: 0 });
  const board = (await api.get(LEADERBOARD)).json.data;
  assert.ok(!board.some((entry) => entry.nickname === 'Shy_Person'));
});

table(
  'H70, H71: no such user, whatever the id looks like',
  [
    ANY_UUID,
    'not-a-uuid',
    ANY_UUID.replaceAll('-', ''),
    `%7B${ANY_UUID}%7D`,
    `${ANY_UUID}0`,
    '%20',
    'sixteen-byte-id!',
    "1'%20or%20'1'='1",
  ],
  (id) => id,
  async (id) => {
    const read = await api.get(`${USERS}/${id}`);
    const written = await api.update(id, { nickname: 'Nobody' });
    for (const answer of [read, written]) {
      assertErrors(answer, 404, ['NotFound']);
      assert.equal(answer.json.errors[0].title, 'Entity Not Found');
      assert.equal(answer.json.errors[0].detail, 'No such user.');
    }
  },
);

test('H71: upper-case ids are accepted, answers are lower case', async () => {
  const { id } = await api.register('Loud_Id');
  const path = `${USERS}/${id.toUpperCase()}`;
  const answer = await api.get(path);
  assertUserDocument(answer, 200, { id, nickname: 'Loud_Id', stamps: 0, self: path });
});

test('H59: what another program writes is seen at once, by every worker', async () => {
  const { id } = await api.register('Before');
  const read = () => Promise.all(Array.from({ length: 12 }, () => api.get(`${USERS}/${id}`)));
  await read();
  await stack.sql(`update users set nickname = 'After' where id = '${id}'`);
  const names = (await read()).map((answer) => answer.json.data.attributes.nickname);
  assert.deepEqual(new Set(names), new Set(['After']));
});

test('H97: a lower score than before is taken: a reinstalled client begins anew', async () => {
  const id = await stack.createUser();
  await api.update(id, { stamps_collected: 9 });
  assertUserDocument(await api.update(id, { stamps_collected: 2 }), 200, {
    id,
    nickname: (await row(id)).nickname,
    stamps: 2,
  });
});

table(
  'H74, H90: an update is refused for the same reasons as a creation, and changes nothing',
  [
    ['no JSON', '{"data":', 400, ['InvalidJSON']],
    ['no data', '{}', 400, ['InvalidBody']],
    ['an unknown attribute', withAttributes({ foo: 1 }), 400, ['InvalidBody']],
    ['a bad nickname', withAttributes({ nickname: 'a\nbc' }), 400, ['invalid_attribute']],
    ['bad stamps', withAttributes({ stamps_collected: -1 }), 400, ['invalid_attribute']],
    ['one good, one bad', withAttributes({ nickname: 'Good', stamps_collected: -1 }), 400, ['invalid_attribute']],
    ['too large', withAttributes({ nickname: 'x'.repeat(70_000) }), 413, ['PayloadTooLarge']],
  ],
  ([name]) => name,
  async ([, body, status, codes]) => {
    const { id } = await api.register('Unchanged');
    const before = await row(id);
    assertErrors(await api.call('PATCH', `${USERS}/${id}`, { body }), status, codes);
    const { age: ignored, ...after } = await row(id);
    assert.deepEqual(after, { nickname: before.nickname, stamps: before.stamps, inserted: before.inserted, updated: before.updated });
  },
);

test('H72: concurrent updates of name and stamps are both kept', async () => {
  const { id } = await api.register('Race_Start');
  for (let round = 1; round <= 10; round++) {
    const answers = await Promise.all([
      api.update(id, { nickname: `Race_${round}` }),
      api.update(id, { stamps_collected: round }),
    ]);
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [200, 200],
    );
    const stored = await row(id);
    assert.deepEqual([stored.nickname, stored.stamps], [`Race_${round}`, round]);
  }
});

test('H73: the document must not be about somebody else', async () => {
  const { id } = await api.register('Identity');
  const patch = (data) => api.call('PATCH', `${USERS}/${id}`, { body: withData(data) });
  const wrongType = await patch({ type: 'users', attributes: {} });
  assertErrors(wrongType, 409, ['Conflict']);
  assert.deepEqual(wrongType.pointers, ['/data/type']);
  for (const other of [ANY_UUID, 'not-a-uuid', '']) {
    const answer = await patch({ type: 'user', id: other, attributes: { nickname: 'Stolen' } });
    assertErrors(answer, 409, ['Conflict']);
    assert.deepEqual(answer.pointers, ['/data/id']);
  }
  assertErrors(await patch({ type: 'user', id: 5, attributes: {} }), 400, ['InvalidBody']);
  assert.equal((await patch({ type: 'user', id, attributes: {} })).status, 200);
  assert.equal((await patch({ type: 'user', id: id.toUpperCase(), attributes: {} })).status, 200);
  assert.equal((await row(id)).nickname, 'Identity');
});

test('H75, H82: one user, and no parameter that is not known', async () => {
  const { id } = await api.register('One_User');
  assertUserDocument(await api.get(`${USERS}/${id}`), 200, { id, nickname: 'One_User', stamps: 0 });
  for (const name of ['sort', 'x', 'id']) {
    const answer = await api.get(`${USERS}/${id}?${name}=1`);
    assert.equal(answer.status, 400);
    assert.equal(answer.json.errors[0].source.parameter, name);
  }
});

test('H76: the list of users is not for holders of the shared token', async () => {
  assertErrors(await api.get(USERS), 403, ['Forbidden']);
});

test('H101: If-Match and If-None-Match', async () => {
  const { id, etag } = await api.register('Tagged');
  const path = `${USERS}/${id}`;
  const same = await api.get(path, { headers: { 'If-None-Match': etag } });
  assert.equal(same.status, 304);
  assert.equal(same.body, '');
  const stale = await api.update(id, { nickname: 'Too_Late' }, { headers: { 'If-Match': '"stale"' } });
  assertErrors(stale, 412, ['PreconditionFailed']);
  assert.equal((await row(id)).nickname, 'Tagged');
  const matching = { headers: { 'If-Match': etag } };
  assert.equal((await api.update(id, { nickname: 'In_Time' }, matching)).status, 200);
  assertErrors(await api.update(id, { nickname: 'Again' }, matching), 412);
});

test('H84, H85, H87: the leaderboard', async () => {
  await stack.sql('delete from users');
  const empty = await api.get(LEADERBOARD);
  assert.equal(empty.body, '{"data":[]}');
  assert.equal(empty.headers['content-type'], 'application/json; charset=utf-8');
  assertCommonHeaders(empty);

  await legacyUser({ nickname: 'null_score', stamps: null, ageInHours: 5 });
  await legacyUser({ nickname: 'negative', stamps: -5, ageInHours: 4 });
  await legacyUser({ nickname: null, stamps: 99, ageInHours: 3 });
  await legacyUser({ nickname: 'younger', stamps: 3, ageInHours: 1 });
  await legacyUser({ nickname: 'older', stamps: 3, ageInHours: 2 });
  await legacyUser({ nickname: 'best', stamps: 10, ageInHours: 1 });
  await legacyUser({ nickname: 'zero', stamps: 0, ageInHours: 1 });
  const board = await api.get(LEADERBOARD);
  const entries = board.json.data.map((entry) => {
    assert.deepEqual(Object.keys(entry).sort(), ['nickname', 'stamps_collected'], 'H84: no ids');
    return [entry.nickname, entry.stamps_collected];
  });
  assert.deepEqual(entries.slice(0, 4), [
    ['best', 10],
    ['older', 3],
    ['younger', 3],
    ['zero', 0],
  ]);
  assert.deepEqual(entries.slice(4).sort(), [
    ['negative', 0],
    ['null_score', 0],
  ]);

  const unchanged = await api.get(LEADERBOARD, { headers: { 'If-None-Match': board.headers.etag } });
  assert.equal(unchanged.status, 304);
  assert.equal(unchanged.body, '');
});

test('H82, H86: the leaderboard ignores unknown parameters and is bounded', async () => {
  await stack.sql(`insert into users (id, nickname, stamps_collected)
                   select gen_random_uuid(), 'Crowd_' || n, n from generate_series(1, 1100) n`);
  const answer = await api.get(`${LEADERBOARD}?sort=nickname&x`);
  assert.equal(answer.status, 200);
  assert.equal(answer.json.data.length, 1000);
  assert.deepEqual(answer.json.data[0], { nickname: 'Crowd_1100', stamps_collected: 1100 });
  await stack.sql(`delete from users where nickname like 'Crowd_%'`);
});

test('created and updated users are announced on tako:users, no-ops are not (common/envelope.h)', async () => {
  const events = await stack.subscribe('tako:users');
  const { id } = await api.register('Announced');
  assert.deepEqual(await events.until(), {
    event: 'created',
    id,
    nickname: 'Announced',
    stamps_collected: 0,
  });
  await api.update(id, { stamps_collected: 2 });
  assert.deepEqual(await events.until(), {
    event: 'updated',
    id,
    nickname: 'Announced',
    stamps_collected: 2,
  });

  await api.update(id, { stamps_collected: 2 });
  await api.update(id, { nickname: 'ab' });
  await api.update(ANY_UUID, { nickname: 'Nobody' });
  for (let stamps = 3; stamps <= 10; stamps++) await api.update(id, { stamps_collected: stamps });
  await events.until((event) => event.stamps_collected === 10);
  const stamps = events.messages.slice(1).map((event) => event.stamps_collected);
  assert.deepEqual(
    stamps.sort((a, b) => a - b),
    [2, 3, 4, 5, 6, 7, 8, 9, 10],
  );

  await api.update(id, { nickname: '' });
  const cleared = await events.until((event) => event.nickname === null);
  assert.equal(cleared.event, 'updated');
});
