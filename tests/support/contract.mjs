// SPDX-License-Identifier: MIT
/*
 * The HTTP contract as a table: a request, and the answer that http-api.md wants, one row each, named
 * by its H-number. contract_table.test.mjs runs it against any base address, fronts.test.mjs behind
 * every web server.
 *
 * A row: [H-number, what it shows, method, path, options, expected].
 *   path      {users}, {one} (a user made for the run), {none} (a well-formed id of nobody)
 *   options   headers, json, body; token: 'none', 'wrong' or 'admin' instead of the shared one
 *   expected  status; codes and sources of errors; headers (text, pattern, or null for absent);
 *             body (a predicate or a value); kind of document: user, list, board, preflight;
 *             frontMayRefuse: a web server may find the request itself invalid: its own 400 or 404
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
} from './http.mjs';

export const USERS = '/api/json/accounts/users';
export const LEADERBOARD = '/api/json/leaderboard';
const COLLECTION_METHODS = 'GET, HEAD, POST, OPTIONS';
const USER_METHODS = 'GET, HEAD, PATCH, OPTIONS';

const user = (attributes, more) => ({ json: { data: { type: 'user', attributes, ...more } } });
const data = (value) => ({ json: { data: value } });
const headers = (values) => ({ headers: values });
const accept = (value) => headers({ Accept: value });
const type = (value) => headers({ 'Content-Type': value });
const error = (status, code, source) => ({ status, codes: [code], sources: [source] });
const pointer = (value) => ({ pointer: value });
const parameter = (value) => ({ parameter: value });
const header = (value) => ({ header: value });

const unauthorized = error(401, 'Unauthorized', header('Authorization'));
const notFound = error(404, 'NotFound');
const notAcceptable = error(406, 'UnacceptableMediaType', header('Accept'));
const wrongType = error(415, 'UnsupportedMediaType', header('Content-Type'));
const badJson = error(400, 'InvalidJSON');
const badBody = (at) => error(400, 'InvalidBody', at === undefined ? undefined : pointer(at));
const badAttribute = (name) => error(400, 'invalid_attribute', pointer(`/data/attributes/${name}`));
const notAllowed = (methods) => ({ ...error(405, 'MethodNotAllowed'), headers: { allow: methods } });
const created = (nickname, stamps = 0) => ({ status: 201, kind: 'user', attributes: [nickname, stamps] });

const PREFLIGHT = {
  Origin: PAGE_ORIGIN,
  'Access-Control-Request-Method': 'POST',
  'Access-Control-Request-Headers': 'authorization,content-type',
};

/** Bytes as a body: what JSON.stringify would never write. */
const raw = (...parts) => ({ body: Buffer.concat(parts.map((part) => Buffer.from(part))) });
const around = (inner) => raw('{"data":{"type":"user","attributes":{"nickname":"', inner, '"}}}');
const nested = (depth) => raw('{"a":'.repeat(depth), '1', '}'.repeat(depth));

export const ROWS = [
  ['H3', 'PATCH without data.id', 'PATCH', '{one}', user({ stamps_collected: 1 }), { status: 200, kind: 'user' }],
  ['H4', 'GET with a content type and no body', 'GET', '{one}', type(JSON_API), { status: 200, kind: 'user' }],
  ['H5', 'the leaderboard for a JSON:API client', 'GET', LEADERBOARD, accept(JSON_API), { status: 200, kind: 'board' }],
  ['H6', 'a quote pasted into the body', 'POST', '{users}', around('say "hi"'), badJson],
  ['H6', 'a backslash pasted into the body', 'POST', '{users}', around('a\\b'), badAttribute('nickname')],
  ['H8', '404 before 401', 'GET', '/api/json/x', { token: 'none' }, notFound],
  ['H8', '401 before 405', 'DELETE', '{users}', { token: 'none' }, unauthorized],
  ['H8', '405 before 406', 'DELETE', '{users}', accept('text/html'), notAllowed(COLLECTION_METHODS)],
  ['H8', '406 before 415', 'POST', '{users}', { ...raw('{'), headers: { Accept: 'text/html', 'Content-Type': 'a/b' } }, notAcceptable],
  ['H8', '415 before 413', 'POST', '{users}', { body: 'x'.repeat(70_000), ...type('a/b') }, wrongType],
  ['H8', 'query before JSON syntax', 'POST', '{users}?include=', raw('{'), error(400, 'InvalidIncludes', parameter('include'))],
  ['H9', 'slashes do not matter', 'GET', '//api//json/leaderboard//', {}, { status: 200, kind: 'board' }],
  ['H9', 'escapes are decoded once', 'GET', '/api/json/%6ceaderboard', {}, { status: 200, kind: 'board' }],
  ['H9', 'and not twice', 'GET', '/api/json/%256ceaderboard', {}, notFound],
  ['H9', 'case matters', 'GET', '/api/json/LEADERBOARD', {}, notFound],
  ['H10', 'a good request id comes back', 'GET', '{one}', headers({ 'X-Request-Id': 'abcdefghij0123456789' }), { status: 200, headers: { 'x-request-id': 'abcdefghij0123456789' } }],
  ['H10', 'a short one does not', 'GET', '{one}', headers({ 'X-Request-Id': 'short' }), { status: 200, headers: { 'x-request-id': UUID } }],
  ['H10', 'nor one with other characters', 'GET', '{one}', headers({ 'X-Request-Id': 'abcdefghij 123456789"' }), { status: 200, headers: { 'x-request-id': UUID } }],
  ['H11', 'caching of a read', 'GET', '{one}', {}, { status: 200, headers: { 'cache-control': 'max-age=0, private, must-revalidate', vary: 'Accept' } }],
  ['H11', 'caching of a write', 'POST', '{users}', user({}), { status: 201, headers: { 'cache-control': 'no-store' } }],
  ['H15', 'the scheme in any case', 'GET', '{one}', { scheme: 'bEARER' }, { status: 200 }],
  ['H16', 'no token', 'GET', '{one}', { token: 'none' }, { ...unauthorized, headers: { 'www-authenticate': 'Bearer realm="tako"' } }],
  ['H16', 'a wrong one', 'GET', '{one}', { token: 'wrong' }, { ...unauthorized, headers: { 'www-authenticate': 'Bearer realm="tako", error="invalid_token"' } }],
  ['H16', 'another scheme', 'GET', '{one}', { scheme: 'Basic' }, unauthorized],
  ['H16', 'two blanks', 'GET', '{one}', { scheme: 'Bearer ' }, unauthorized],
  ['H19', 'a preflight', 'OPTIONS', '{users}/', { token: 'none', headers: PREFLIGHT }, { kind: 'preflight' }],
  ['H19', 'a preflight of nowhere', 'OPTIONS', '/api/json/nowhere', { token: 'none', headers: PREFLIGHT }, { kind: 'preflight' }],
  ['H20', 'plain OPTIONS', 'OPTIONS', '{users}', { token: 'none' }, { status: 204, headers: { allow: COLLECTION_METHODS } }],
  ['H20', 'plain OPTIONS of a user', 'OPTIONS', '{none}', { token: 'none' }, { status: 204, headers: { allow: USER_METHODS } }],
  ['H20', 'plain OPTIONS of nowhere', 'OPTIONS', '/api/json/x', { token: 'none' }, notFound],
  ['H21', 'never credentials', 'GET', '{one}', headers({ Origin: PAGE_ORIGIN }), { status: 200, headers: { 'access-control-allow-origin': '*', 'access-control-allow-credentials': null } }],
  ['H22', 'below accounts', 'GET', '/api/json/accounts/x', {}, notFound],
  ['H23', 'DELETE of a user', 'DELETE', '{one}', {}, notAllowed(USER_METHODS)],
  ['H23', 'POST to a user', 'POST', '{one}', user({}), notAllowed(USER_METHODS)],
  ['H23', 'PUT', 'PUT', '{one}', user({}), notAllowed(USER_METHODS)],
  ['H23', 'PATCH of the collection', 'PATCH', '{users}', user({}), notAllowed(COLLECTION_METHODS)],
  ['H24', 'HEAD', 'HEAD', '{one}', {}, { status: 200, headers: { etag: /^"/, 'content-length': /^[1-9]/ }, body: '' }],
  ['H24', 'HEAD of nobody', 'HEAD', '{none}', {}, { status: 404, headers: { 'content-length': /^[1-9]/ }, body: '' }],
  ['H25', 'no method override', 'POST', '{users}', { ...user({}), headers: { 'X-HTTP-Method-Override': 'DELETE' } }, created(null)],
  ...[`${JSON_API}`, `${JSON_API.toUpperCase()}`, `${JSON_API}; profile="https://x.example/y"`].map(
    (value) => ['H26', value, 'POST', '{users}', { ...user({}), ...type(value) }, created(null)]),
  ...[`${JSON_API}; ext="x"`, `${JSON_API}; charset=utf-8`, `${JSON_API};v=1`, 'application/json', 'text/plain', '*/*', 'garbage', 'application/x-www-form-urlencoded', undefined].map(
    (value) => ['H26', String(value), 'POST', '{users}', { ...user({}), ...type(value) }, wrongType]),
  ['H26', 'another type on GET', 'GET', '{one}', type('text/plain'), { status: 200 }],
  ['H26', 'our type with a parameter on GET', 'GET', '{one}', type(`${JSON_API};v=1`), wrongType],
  ['H26', 'the leaderboard does not care', 'GET', LEADERBOARD, type(`${JSON_API};v=1`), { status: 200 }],
  ...[undefined, '*/*', 'application/*', 'application/json', JSON_API, 'text/html,*/*;q=0.8', `${JSON_API};q=0.5`, `${JSON_API};v=1, ${JSON_API}`, `${JSON_API};profile="x"`].map(
    (value) => ['H27', String(value), 'GET', '{one}', accept(value), { status: 200, kind: 'user' }]),
  ...[`${JSON_API};v=1`, `${JSON_API};v=1, */*`, `${JSON_API};ext="x"`, 'text/html', 'garbage', `${JSON_API};q=0`, '*/*;q=0'].map(
    (value) => ['H27', value, 'GET', '{one}', accept(value), notAcceptable]),
  ['H28', 'the leaderboard with parameters', 'GET', LEADERBOARD, accept(`${JSON_API};v=1`), { status: 200, kind: 'board' }],
  ['H28', 'the leaderboard as HTML', 'GET', LEADERBOARD, accept('text/html'), notAcceptable],
  ['H29', 'a large body', 'POST', '{users}', { body: 'x'.repeat(65_537) }, error(413, 'PayloadTooLarge')],
  ['H29', 'one that just fits', 'POST', '{users}', { body: ' '.repeat(65_500) + '{"data":{"type":"user"}}' }, created(null)],
  ...[
    ['cut off', raw('{"data":')], ['text behind it', raw('{"data":{"type":"user"}}x')], ['blanks only', raw('  ')],
    ['a byte order mark', raw('\ufeff{"data":{"type":"user"}}')], ['a raw control character', around('a\tb')],
    ['a bad escape', around('\\x41')], ['a lone surrogate', around('\\ud800')], ['overlong UTF-8', around([0xc0, 0xaf])],
    ['a surrogate in UTF-8', around([0xed, 0xa0, 0x80])], ['bytes that are no UTF-8', around([0xff])],
    ['single quotes', raw("{'data':{'type':'user'}}")], ['NaN', raw('{"data":NaN}')], ['Infinity', raw('{"data":Infinity}')],
    ['a comment', raw('{"data":{"type":"user"}/**/}')], ['a trailing comma', raw('{"data":{"type":"user"},}')],
    ['a leading zero', raw('{"data":01}')], ['TRUE', raw('{"data":TRUE}')],
  ].map(([name, options]) => ['H30', name, 'POST', '{users}', options, badJson]),
  ['H31', 'an escaped NUL', 'POST', '{users}', around('\\u0000'), badAttribute('nickname')],
  ['H31', 'an integer that would be cut', 'POST', '{users}', raw('{"data":{"type":"user","attributes":{"stamps_collected":18446744073709551616}}}'), badAttribute('stamps_collected')],
  ['H32', '33 levels', 'POST', '{users}', nested(33), badJson],
  ['H32', '32 levels', 'POST', '{users}', nested(32), badBody('')],
  ['H32', 'a name twice', 'POST', '{users}', raw('{"data":{"type":"user"},"data":{"type":"user"}}'), badJson],
  ['H33', 'an empty body', 'POST', '{users}', raw(''), badBody()],
  ...['{}', '[]', 'null', '"x"', '1'].map((body) => ['H33', body, 'POST', '{users}', raw(body), badBody('')]),
  ...[null, [], 'x', 1].map((value) => ['H34', JSON.stringify(value), 'POST', '{users}', data(value), badBody('/data')]),
  ['H35', 'another type', 'POST', '{users}', data({ type: 'users' }), error(409, 'Conflict', pointer('/data/type'))],
  ['H35', 'a type that is no string', 'POST', '{users}', data({ type: 5 }), badBody('/data/type')],
  ['H36', 'no type', 'POST', '{users}', data({}), badBody('/data')],
  ...[null, [], 'x'].map((value) => ['H37', JSON.stringify(value), 'POST', '{users}', data({ type: 'user', attributes: value }), badBody('/data/attributes')]),
  ...['foo', 'id', 'inserted_at', 'updated_at'].map((name) => ['H38', name, 'POST', '{users}', user({ [name]: 1 }), badBody(`/data/attributes/${name}`)]),
  ['H38', 'escaped in the pointer', 'POST', '{users}', user({ 'a/b~c': 1 }), badBody('/data/attributes/a~1b~0c')],
  ...[ANY_UUID, null].map((id) => ['H39', `id ${id}`, 'POST', '{users}', user({}, { id }), error(403, 'Forbidden', pointer('/data/id'))]),
  ['H40', 'members that mean nothing', 'POST', '{users}', { json: { data: { type: 'user', meta: {}, links: {}, lid: 'x' }, meta: {}, jsonapi: {}, included: [], foo: 1 } }, created(null)],
  ['H41', 'no relationships', 'POST', '{users}', data({ type: 'user', relationships: {} }), created(null)],
  ['H41', 'relationships as an array', 'POST', '{users}', data({ type: 'user', relationships: [] }), badBody('/data/relationships')],
  ['H42', 'a relationship', 'POST', '{users}', data({ type: 'user', relationships: { x: {} } }), badBody('/data/relationships/x')],
  ['H43', 'several errors', 'POST', '{users}', user({ foo: 1, bar: 2 }), { status: 400, codes: ['InvalidBody', 'InvalidBody'] }],
  ...[5, true, [], {}].map((value) => ['H44', JSON.stringify(value), 'POST', '{users}', user({ nickname: value }), badBody('/data/attributes/nickname')]),
  ['H44', 'null', 'POST', '{users}', user({ nickname: null }), created(null)],
  ['H45', 'Unicode blanks around it', 'POST', '{users}', user({ nickname: '\t\u3000\u00a0 a b \u2028\u0085' }), created('a b')],
  ['H46', '24 characters', 'POST', '{users}', user({ nickname: 'x'.repeat(24) }), created('x'.repeat(24))],
  ['H46', '25 characters', 'POST', '{users}', user({ nickname: 'x'.repeat(25) }), badAttribute('nickname')],
  ['H46', 'families and flags count once', 'POST', '{users}', user({ nickname: '🇯🇵'.repeat(24) }), created('🇯🇵'.repeat(24))],
  ['H46', 'one character on create', 'POST', '{users}', user({ nickname: 'x' }), created('x')],
  ['H46', 'two on update', 'PATCH', '{one}', user({ nickname: '😀😀' }), badAttribute('nickname')],
  ['H46', 'three on update', 'PATCH', '{one}', user({ nickname: '😀😀😀' }), { status: 200, kind: 'user' }],
  ['H47', '256 bytes', 'POST', '{users}', user({ nickname: '👩‍👩‍👧‍👦'.repeat(11) }), badAttribute('nickname')],
  ['H47', 'five marks in a row', 'POST', '{users}', user({ nickname: `e${'\u0301'.repeat(5)}` }), badAttribute('nickname')],
  ['H48', 'empty is null', 'POST', '{users}', user({ nickname: ' \t ' }), created(null)],
  ...['a\u0000b', 'a\nb', 'a\u007fb', 'a\u0085b', '\u202eabc', 'a\u2066b', '\ufffd', '\u200b\u2060'].map(
    (nickname) => ['H50', JSON.stringify(nickname), 'POST', '{users}', user({ nickname }), badAttribute('nickname')]),
  ['H51', 'a word of the list', 'POST', '{users}', user({ nickname: 'Shit!' }), badAttribute('nickname')],
  ['H51', 'inside another word it is none', 'POST', '{users}', user({ nickname: 'class' }), created('class')],
  ...[7, '7', '+7'].map((value) => ['H52', JSON.stringify(value), 'POST', '{users}', user({ stamps_collected: value }), created(null, 7)]),
  ...[-1, '-1', 'abc', '7.5', ''].map((value) => ['H52', JSON.stringify(value), 'POST', '{users}', user({ stamps_collected: value }), badAttribute('stamps_collected')]),
  ...['7.0', '1e2', '7.5', '9007199254740992', '-9223372036854775809'].map(
    (value) => ['H52', value, 'POST', '{users}', raw('{"data":{"type":"user","attributes":{"stamps_collected":', value, '}}}'), badAttribute('stamps_collected')]),
  ...[null, true, []].map((value) => ['H52', JSON.stringify(value), 'POST', '{users}', user({ stamps_collected: value }), badBody('/data/attributes/stamps_collected')]),
  ['H54', 'all violations, the nickname first', 'POST', '{users}', user({ stamps_collected: -1, nickname: 'a\nb' }), { status: 400, codes: ['invalid_attribute', 'invalid_attribute'], sources: [pointer('/data/attributes/nickname'), pointer('/data/attributes/stamps_collected')] }],
  ['H55', 'nothing is escaped without need', 'POST', '{users}', user({ nickname: '</a>\\"é' }), { status: 201, text: '"nickname":"</a>\\\\\\"é"' }],
  ['H58', 'nothing is normalised', 'POST', '{users}', user({ nickname: 'e\u0301' }), created('e\u0301')],
  ['H60', 'registration with the trailing slash', 'POST', '{users}/', user({ nickname: 'Calm_Takodachi' }), { ...created('Calm_Takodachi'), headers: { location: new RegExp(`^${USERS}/[0-9a-f-]{36}$`), etag: /^"/ } }],
  ['H62', 'the minimal registration', 'POST', '{users}', data({ type: 'user' }), created(null)],
  ['H64', 'stamps on create', 'POST', '{users}', user({ stamps_collected: 3 }), created(null, 3)],
  ['H67', 'an update', 'PATCH', '{one}', user({ nickname: 'Renamed', stamps_collected: 2 }), { status: 200, kind: 'user', attributes: ['Renamed', 2], headers: { etag: /^"/ } }],
  ['H68', 'an update of nothing', 'PATCH', '{one}', user({}), { status: 200, kind: 'user', attributes: ['Renamed', 2] }],
  ['H70', 'an update of nobody', 'PATCH', '{none}', user({}), notFound],
  ...['not-a-uuid', ANY_UUID.replaceAll('-', ''), `{${ANY_UUID}}`].map((id) => ['H71', id, 'GET', `{users}/${id}`, {}, notFound]),
  ...['%zz', '%00', 'a%2Fb'].map((id) => ['H71', id, 'GET', `{users}/${id}`, {}, { ...notFound, frontMayRefuse: true }]),
  ['H73', 'somebody else', 'PATCH', '{one}', user({}, { id: ANY_UUID }), error(409, 'Conflict', pointer('/data/id'))],
  ['H73', 'an id that is no string', 'PATCH', '{one}', user({}, { id: 5 }), badBody('/data/id')],
  ['H73', 'another type', 'PATCH', '{one}', data({ type: 'x' }), error(409, 'Conflict', pointer('/data/type'))],
  ['H75', 'one user', 'GET', '{one}', {}, { status: 200, kind: 'user' }],
  ['H75', 'sorting one user', 'GET', '{one}?sort=id', {}, error(400, 'InvalidQuery', parameter('sort'))],
  ['H76', 'the list with the shared token', 'GET', '{users}', {}, error(403, 'Forbidden')],
  ['H77', 'some fields', 'GET', '{one}?fields[user]=stamps_collected,id', {}, { status: 200, headers: { etag: null }, body: (json) => assert.deepEqual(Object.keys(json.data.attributes), ['stamps_collected']) }],
  ['H77', 'no fields', 'GET', '{one}?fields%5Buser%5D=', {}, { status: 200, body: (json) => assert.deepEqual(json.data.attributes, {}) }],
  ['H77', 'an unknown field', 'GET', '{one}?fields[user]=inserted_at', {}, error(400, 'InvalidField', parameter('fields[user]'))],
  ['H77', 'an unknown type', 'GET', '{one}?fields[users]=nickname', {}, error(400, 'InvalidType', parameter('fields[users]'))],
  ['H81', 'include', 'GET', '{one}?include=friends', {}, error(400, 'InvalidIncludes', parameter('include'))],
  ['H82', 'an unknown parameter', 'POST', '{users}?foo=1', user({}), error(400, 'InvalidQuery', parameter('foo'))],
  ['H82', 'the leaderboard ignores it', 'GET', `${LEADERBOARD}?foo=1`, {}, { status: 200, kind: 'board' }],
  ['H83', 'no UTF-8', 'GET', '{one}?a=%ff', {}, error(400, 'InvalidQuery')],
  ['H84', 'the leaderboard', 'GET', `${LEADERBOARD}/`, {}, { status: 200, kind: 'board', headers: { etag: /^"/, 'content-type': 'application/json; charset=utf-8' } }],
  ['H86', 'the first row', 'GET', `${LEADERBOARD}?page[limit]=1`, {}, { status: 200, body: (json) => assert.equal(json.data.length, 1) }],
  ['H86', 'no row', 'GET', `${LEADERBOARD}?page[limit]=0`, {}, error(400, 'InvalidPagination', parameter('page[limit]'))],
  ['H88', 'POST to the leaderboard', 'POST', LEADERBOARD, user({}), notAllowed('GET, HEAD, OPTIONS')],
  ['H88', 'below the leaderboard', 'PATCH', `${LEADERBOARD}/x`, user({}), notFound],
  ['H101', 'a stale If-Match', 'PATCH', '{one}', { ...user({ stamps_collected: 5 }), headers: { 'If-Match': '"old"' } }, error(412, 'PreconditionFailed', header('If-Match'))],
  ['H101', 'any If-Match', 'PATCH', '{one}', { ...user({ stamps_collected: 5 }), headers: { 'If-Match': '*' } }, { status: 200 }],
  ['H101', 'If-None-Match', 'GET', '{one}', headers({ 'If-None-Match': '*' }), { status: 304, body: '', headers: { etag: /^"/ } }],
  ['H103', 'a key that is none', 'POST', '{users}', { ...user({}), headers: { 'Idempotency-Key': 'k'.repeat(256) } }, error(400, 'InvalidHeader', header('Idempotency-Key'))],
  ['H104', 'no other dialect of errors', 'GET', '{none}', accept('application/problem+json'), notAcceptable],
  ['H104', 'not even beside ours', 'GET', '{none}', accept(`application/problem+json, ${JSON_API};q=0.1`), notFound],
  ['H107', 'the leaderboard is flat only', 'GET', '/api/json/accounts/leaderboard', {}, notFound],
  ['H105', 'OpenAPI', 'GET', '/api/json/open_api', { token: 'none' }, { status: 200, headers: { 'content-type': 'application/json' }, body: (json) => assert.match(json.openapi, /^3\.1/) }],
  ['H105', 'JSON Schema', 'GET', '/api/json/accounts/json_schema', { token: 'none' }, { status: 200, headers: { 'content-type': 'application/schema+json' } }],
];

/** Rows that need the administrator's token. */
export const ADMIN_ROWS = [
  ['H76', 'the list', 'GET', '{users}?page[limit]=2', { token: 'admin' }, { status: 200, kind: 'list' }],
  ['H78', 'sorted', 'GET', '{users}?sort=-stamps_collected,id&page[limit]=2', { token: 'admin' }, { status: 200, kind: 'list' }],
  ...['sort=', 'sort=foo', 'sort=id,', 'sort=%2Bid'].map((query) => ['H78', query, 'GET', `{users}?${query}`, { token: 'admin' }, error(400, 'InvalidSort', parameter('sort'))]),
  ['H79', 'filtered to nobody', 'GET', '{users}?filter[id]=', { token: 'admin' }, { status: 200, body: (json) => assert.deepEqual(json.data, []) }],
  ...['filter[id][eq]', 'filter', 'filter[foo]', 'filter[stamps_collected]', 'filter[id]'].map((name) => ['H79', name, 'GET', `{users}?${name}=x`, { token: 'admin' }, error(400, 'InvalidFilter', parameter(name))]),
  ...['page[limit]=0', 'page[limit]=1001', 'page[limit]=abc', 'page[offset]=-1', 'page[number]=1', 'page=1'].map((query) => ['H80', query, 'GET', `{users}?${query}`, { token: 'admin' }, error(400, 'InvalidPagination', parameter(query.split('=')[0]))]),
];

export const nameOf = ([number, what, method, path]) => `${number}: ${what} (${method} ${path})`;

function requestOf([, , method, path, options], api, { id, adminToken }) {
  const tokens = { none: undefined, wrong: 'wrong', admin: adminToken };
  const token = 'token' in options ? tokens[options.token] : api.token;
  const Authorization = token === undefined ? undefined : `${options.scheme ?? 'Bearer'} ${token}`;
  const address = path.replace('{users}', USERS).replace('{one}', `${USERS}/${id}`).replace('{none}', `${USERS}/${ANY_UUID}`);
  const { json, body } = options;
  return [method, address, { headers: { Authorization, ...options.headers }, json, body }];
}

const DOCUMENTS = {
  user(answer, { attributes }) {
    assert.equal(answer.headers['content-type'], JSON_API);
    const { data, jsonapi, links, ...rest } = answer.json;
    assert.deepEqual([jsonapi, rest], [{ version: '1.0' }, {}]);
    assert.equal(typeof links.self, 'string');
    assert.match(data.id, UUID);
    assert.deepEqual([data.type, data.meta, data.relationships], ['user', {}, {}]);
    assert.equal(data.links.self, `${USERS}/${data.id}`);
    assert.deepEqual(Object.keys(data.attributes).sort(), ['nickname', 'stamps_collected']);
    if (attributes) assert.deepEqual([data.attributes.nickname, data.attributes.stamps_collected], attributes);
  },
  list(answer) {
    assert.equal(answer.headers['content-type'], JSON_API);
    assert.deepEqual(Object.keys(answer.json).sort(), ['data', 'jsonapi', 'links']);
    assert.ok(answer.json.data.length <= 2);
    assert.match(answer.json.links.first, /\?page%5Blimit%5D=2/);
  },
  board(answer) {
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    assert.deepEqual(Object.keys(answer.json), ['data']);
    let above = Infinity;
    for (const row of answer.json.data) {
      assert.deepEqual(Object.keys(row).sort(), ['nickname', 'stamps_collected']);
      assert.equal(typeof row.nickname, 'string');
      assert.ok(row.stamps_collected >= 0 && row.stamps_collected <= above);
      above = row.stamps_collected;
    }
  },
};

function assertExpected(answer, expected) {
  if (expected.kind === 'preflight') return assertPreflight(answer);
  if (expected.codes) assertErrors(answer, expected.status, expected.codes);
  else assert.equal(answer.status, expected.status, answer.body);
  assertCommonHeaders(answer);
  for (const [name, wanted] of Object.entries(expected.headers ?? {})) {
    const value = answer.headers[name];
    if (wanted === null) assert.equal(value, undefined, name);
    else if (wanted instanceof RegExp) assert.match(value ?? '', wanted, name);
    else assert.equal(value, wanted, name);
  }
  if (expected.sources?.some(Boolean)) {
    assert.deepEqual(answer.json.errors.map(({ source }) => source), expected.sources);
  }
  if (expected.kind) DOCUMENTS[expected.kind](answer, expected);
  if (expected.text) assert.ok(answer.body.includes(expected.text), answer.body);
  if (typeof expected.body === 'function') expected.body(answer.json);
  else if (expected.body !== undefined) assert.equal(answer.body, expected.body);
}

/** The errors of tako-api have UUIDs; those of the samples in deploy/ have other ids. */
function isFrontsOwn(answer) {
  return answer.status >= 400 && !UUID.test(answer.json?.errors?.[0].id);
}

/** H2, H13: an error of the web server itself that a page can make something of. */
export function assertFrontError(answer, status) {
  assert.equal(answer.status, status, answer.body);
  assert.equal(answer.headers['access-control-allow-origin'], '*');
  assert.equal(answer.headers['content-type'], JSON_API);
  assert.ok(answer.json.errors.length > 0);
  for (const error of answer.json.errors) {
    for (const member of ['code', 'detail', 'id', 'status', 'title']) {
      assert.equal(typeof error[member], 'string', member);
    }
    assert.equal(error.status, String(status));
  }
}

/** Sends one row's request and checks the answer. `run`: {id: of a user to read and change, adminToken}. */
export async function checkRow(row, api, run) {
  const answer = await api.call(...requestOf(row, api, run));
  if (row[5].frontMayRefuse && isFrontsOwn(answer)) {
    assert.ok([400, 404].includes(answer.status), `status ${answer.status}`);
    assertFrontError(answer, answer.status);
  } else {
    assertExpected(answer, row[5]);
  }
}
