// SPDX-License-Identifier: MIT
/*
 * The administrator's list of users against real rows: fields, sort, filter, page and the links
 * between pages (http-api.md, H76-H83). The table is filled by SQL, so that the order is known.
 */
import assert from 'node:assert/strict';
import { JSON_API, assertCommonHeaders, assertErrors } from '../support/http.mjs';
import { startStack } from '../support/stack.mjs';
import { table, test } from '../support/testing.mjs';

const USERS = '/api/json/accounts/users';

const stack = await startStack();
const { api } = stack;

/** In the order of registration: letter, nickname, stamps. */
const ROWS = [
  ['a', 'delta', 3],
  ['b', 'alpha', 1],
  ['c', null, 2],
  ['d', 'charlie', null],
  ['e', 'Bravo', 3],
  ['f', 'a b&c', -5],
];
const idOf = (letter) => `${letter.repeat(8)}-0000-4000-8000-000000000000`;

await stack.sql(
  ROWS.map(([letter, nickname, stamps], i) => {
    const name = nickname === null ? 'null' : `'${nickname}'`;
    return `insert into users values ('${idOf(letter)}', ${name}, ${stamps},
      timestamp '2024-01-01' + interval '${i} s', timestamp '2024-01-01');`;
  }).join('\n'),
);

const asAdmin = (path, options) =>
  api.get(path, { ...options, headers: { Authorization: `Bearer ${stack.adminToken}` } });

/** The users of an answer by their letters: "abc". */
function letters(answer) {
  assert.equal(answer.status, 200, answer.body);
  assertCommonHeaders(answer);
  assert.equal(answer.headers['content-type'], JSON_API);
  return answer.json.data.map((user) => user.id[0]).join('');
}

test('H76: only the administrator sees the list', async () => {
  assertErrors(await api.get(USERS), 403, ['Forbidden']);
  assertErrors(await api.call('HEAD', `${USERS}?sort=id`).then(withoutBody), 403);
  assert.equal(letters(await asAdmin(USERS)), 'abcdef');
});

/** A HEAD answer, with the document it would have had: assertErrors looks at both. */
function withoutBody(answer) {
  assert.equal(answer.body, '', 'H24');
  assert.ok(Number(answer.headers['content-length']) > 0, 'H24');
  const error = { code: '', detail: '', id: '00000000-0000-4000-8000-000000000000', title: '' };
  const document = { errors: [{ ...error, status: String(answer.status) }], jsonapi: { version: '1.0' } };
  answer.body = JSON.stringify(document);
  return answer;
}

test('H76: the document of the list', async () => {
  const answer = await asAdmin(`${USERS}/?page%5Blimit%5D=1`);
  assert.deepEqual(answer.json, {
    data: [
      {
        attributes: { nickname: 'delta', stamps_collected: 3 },
        id: idOf('a'),
        links: { self: `${USERS}/${idOf('a')}` },
        meta: {},
        relationships: {},
        type: 'user',
      },
    ],
    jsonapi: { version: '1.0' },
    links: {
      first: `${USERS}?page%5Blimit%5D=1`,
      next: `${USERS}?page%5Blimit%5D=1&page%5Boffset%5D=1`,
      self: `${USERS}/?page%5Blimit%5D=1`,
    },
  });
});

test('H57, H76: legacy rows are listed as they are', async () => {
  const users = (await asAdmin(USERS)).json.data.map((user) => user.attributes);
  assert.deepEqual(users[2], { nickname: null, stamps_collected: 2 });
  assert.deepEqual(users[3], { nickname: 'charlie', stamps_collected: null });
  assert.deepEqual(users[5], { nickname: 'a b&c', stamps_collected: -5 });
});

table(
  'H78: sort, nulls as the largest, ties by id',
  [
    ['nickname', 'efbdac'], // the database of deploy/stack compares code points
    ['-id', 'fedcba'],
    ['stamps_collected', 'fbcaed'],
    ['-stamps_collected', 'daecbf'],
    ['-stamps_collected,-id', 'deacbf'],
    ['-nickname', 'cadbfe'],
    ['stamps_collected,-nickname', 'fbcaed'],
  ],
  ([sort]) => sort,
  async ([sort, wanted]) => assert.equal(letters(await asAdmin(`${USERS}?sort=${sort}`)), wanted),
);

table(
  'H79: exact filters, combined by AND',
  [
    ['filter[nickname]=alpha', 'b'],
    ['filter[nickname]=Alpha', ''],
    ['filter[nickname]=a+b%26c', 'f'],
    ['filter%5Bstamps_collected%5D=3', 'ae'],
    ['filter[stamps_collected]=-5', 'f'],
    ['filter[stamps_collected]=3&filter[nickname]=Bravo', 'e'],
    ['filter[stamps_collected]=1&filter[nickname]=Bravo', ''],
    [`filter[id]=${idOf('c').toUpperCase()}`, 'c'],
    ['filter[nickname]=', ''],
    ['filter[id]=', ''],
    ['filter[stamps_collected]=', ''],
    ["filter[nickname]=x'%20or%201=1--", ''],
    ['sort=-id&filter[stamps_collected]=3&page[limit]=1', 'e'],
  ],
  ([query]) => query,
  async ([query, wanted]) => assert.equal(letters(await asAdmin(`${USERS}?${query}`)), wanted),
);

test('H77: fields of the list', async () => {
  const answer = await asAdmin(`${USERS}?fields[user]=nickname&page[limit]=1`);
  assert.deepEqual(answer.json.data[0].attributes, { nickname: 'delta' });
  const none = await asAdmin(`${USERS}?fields[user]=&page[limit]=1`);
  assert.deepEqual(none.json.data[0].attributes, {});
});

/** Follows `link` from page to page; the letters of each. */
async function walk(start, link) {
  const pages = [];
  for (let path = start; path; ) {
    assert.ok(pages.length < 20, 'the chain of pages ends');
    const answer = await asAdmin(path);
    pages.push(letters(answer));
    path = answer.json.links[link];
  }
  return pages;
}

test('H80: next and prev lead through all users and back', async () => {
  assert.deepEqual(await walk(`${USERS}?page[limit]=4`, 'next'), ['abcd', 'ef']);
  assert.deepEqual(await walk(`${USERS}?page[limit]=2&page[offset]=5`, 'prev'), ['f', 'de', 'bc', 'ab']);
});

test('H76, H80: links keep sort, filter and fields, percent-encoded', async () => {
  const query = 'sort=-id&page[limit]=1&filter[stamps_collected]=3&fields[user]=nickname';
  const { links } = (await asAdmin(`${USERS}?${query}`)).json;
  assert.match(links.next, /^[A-Za-z0-9/?&=%._~,-]+$/);
  const pages = await walk(`${USERS}?${query}`, 'next');
  assert.deepEqual(pages, ['e', 'a']);
  const next = await asAdmin(links.next);
  assert.deepEqual(next.json.data[0].attributes, { nickname: 'delta' });
  assert.equal(next.json.links.next, undefined);
  assert.equal((await asAdmin(next.json.links.first)).json.data[0].id, idOf('e'));
});

test('H76: no users is an empty list', async () => {
  const answer = await asAdmin(`${USERS}?page[offset]=1000000000`);
  assert.deepEqual(answer.json.data, []);
  assert.equal(answer.json.links.next, undefined);
});
