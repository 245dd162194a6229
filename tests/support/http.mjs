// SPDX-License-Identifier: MIT
/*
 * HTTP as the API's clients speak it: the four calls of the real web page byte for byte
 * (http-api.md, section 0), and free-form requests. Plus the assertions that hold for every answer.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import { RawConnection } from './raw.mjs';

export const JSON_API = 'application/vnd.api+json';
export const PAGE_ORIGIN = 'https://holoquest.hololivefanbooth.com';
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const ANY_UUID = '00000000-0000-4000-8000-000000000000';

const REQUEST_MS = 20_000;

class Answer {
  constructor(status, headers, body) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  get json() {
    return JSON.parse(this.body);
  }

  /** The codes of an error document, in order. */
  get codes() {
    return this.json.errors.map((error) => error.code);
  }

  /** The pointers of an error document, in order. */
  get pointers() {
    return this.json.errors.map((error) => error.source?.pointer);
  }
}

export class HttpClient {
  /** `agent`: node's, for connections that are kept; without one each request has its own. */
  constructor(url, token, { agent = false } = {}) {
    this.url = url;
    this.token = token;
    this.agent = agent;
  }

  /** One request with exactly these headers (beside Host, Connection and Content-Length). */
  send(method, path, { headers = {}, body } = {}) {
    const { hostname, port } = new URL(this.url);
    const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const request = http.request(
        { hostname, port, method, path, headers: { ...length, ...headers }, agent: this.agent },
        (response) => {
          const chunks = [];
          response.on('data', (chunk) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve(new Answer(response.statusCode, response.headers, text));
          });
        },
      );
      request.setTimeout(REQUEST_MS, () => request.destroy(new Error(`no answer: ${method} ${path}`)));
      request.on('error', reject);
      request.end(body);
    });
  }

  /** A request with the headers of a well-behaved JSON:API client; undefined leaves one out. */
  call(method, path, { headers = {}, body, json } = {}) {
    const all = {
      Accept: JSON_API,
      Authorization: `Bearer ${this.token}`,
      'Content-Type': JSON_API,
      ...headers,
    };
    const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    return this.send(method, path, {
      headers: given,
      body: json === undefined ? body : JSON.stringify(json),
    });
  }

  get(path, options) {
    return this.call('GET', path, options);
  }

  /** POST of a user with these attributes. */
  create(attributes, options = {}) {
    const json = { data: { type: 'user', attributes } };
    return this.call('POST', '/api/json/accounts/users', { json, ...options });
  }

  /** PATCH of a user with these attributes. */
  update(id, attributes, options = {}) {
    const json = { data: { type: 'user', attributes } };
    return this.call('PATCH', `/api/json/accounts/users/${id}`, { json, ...options });
  }

  /** Registers a user and returns {id, etag}; anything but success is an error. */
  async register(nickname) {
    const answer = await this.create({ nickname });
    assert.equal(answer.status, 201, answer.body);
    return { id: answer.json.data.id, etag: answer.headers.etag };
  }

  /**
   * One call of the real page as Chromium writes it: preflight first, then the request, header by
   * header; `path` below /api/json. Returns both answers.
   */
  async asBrowser(method, path, body) {
    const preflight = await this.#raw([
      `OPTIONS /api/json${path} HTTP/1.1`,
      ...this.#browserHead(),
      `Access-Control-Request-Method: ${method}`,
      'Access-Control-Request-Headers: authorization,content-type',
    ]);
    const answer = await this.#raw(
      [
        `${method} /api/json${path} HTTP/1.1`,
        ...this.#browserHead(),
        ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
        `Authorization: Bearer ${this.token}`,
        `Content-Type: ${JSON_API}`,
      ],
      body,
    );
    return { preflight, answer };
  }

  #browserHead() {
    return [
      `Host: ${new URL(this.url).host}`,
      'Connection: keep-alive',
      `Accept: ${JSON_API}`,
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/113.0',
      `Origin: ${PAGE_ORIGIN}`,
      'Sec-Fetch-Site: cross-site',
      'Sec-Fetch-Mode: cors',
      'Sec-Fetch-Dest: empty',
      `Referer: ${PAGE_ORIGIN}/`,
      'Accept-Encoding: gzip, deflate, br',
      'Accept-Language: en-US,en;q=0.9',
    ];
  }

  /** Sends bytes as they are and reads one answer. */
  async #raw(lines, body = '') {
    const { port } = new URL(this.url);
    const connection = await RawConnection.open(port);
    try {
      connection.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
      const { status, headers, body: text } = await connection.response({ timeout: REQUEST_MS });
      return new Answer(status, headers, text);
    } finally {
      connection.destroy();
    }
  }
}

const PREFLIGHT_HEADERS =
  'Authorization, Content-Type, Accept, Origin, User-Agent, DNT, Cache-Control, X-Mx-ReqToken, ' +
  'Keep-Alive, X-Requested-With, If-Modified-Since, X-CSRF-Token, If-Match, If-None-Match, ' +
  'Idempotency-Key, X-Request-Id';

/** H19, exactly. */
export function assertPreflight(answer) {
  assert.equal(answer.status, 204);
  assert.equal(answer.body, '');
  assert.equal(answer.headers['access-control-allow-origin'], '*');
  assert.equal(answer.headers['access-control-allow-methods'], 'GET, HEAD, POST, PATCH, OPTIONS');
  assert.equal(answer.headers['access-control-allow-headers'], PREFLIGHT_HEADERS);
  assert.equal(answer.headers['access-control-max-age'], '86400');
  assert.equal(answer.headers['access-control-allow-credentials'], undefined, 'H21');
}

/** H2, H10, H11: what every answer but a preflight carries. */
export function assertCommonHeaders(answer) {
  const { headers } = answer;
  assert.equal(headers['access-control-allow-origin'], '*');
  assert.equal(headers['access-control-expose-headers'], 'ETag, Location, Retry-After, X-Request-Id');
  assert.equal(headers['access-control-allow-credentials'], undefined, 'H21');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.match(headers['x-request-id'] ?? '', /^[A-Za-z0-9._=+/-]{20,200}$/);
}

/** H7, H11, H28, H89: an error document, complete and consistent with its status. */
export function assertErrors(answer, status, codes) {
  assert.equal(answer.status, status, answer.body);
  assertCommonHeaders(answer);
  assert.equal(answer.headers['content-type'], JSON_API);
  assert.equal(answer.headers['cache-control'], 'no-store');
  const document = answer.json;
  assert.deepEqual(Object.keys(document).sort(), ['errors', 'jsonapi']);
  assert.deepEqual(document.jsonapi, { version: '1.0' });
  assert.ok(Array.isArray(document.errors) && document.errors.length > 0);
  for (const error of document.errors) {
    for (const member of ['code', 'detail', 'id', 'status', 'title']) {
      assert.equal(typeof error[member], 'string', member);
    }
    assert.match(error.id, UUID);
    assert.equal(error.status, String(status));
  }
  const ids = new Set(document.errors.map((error) => error.id));
  assert.equal(ids.size, document.errors.length, 'a fresh id per error');
  if (codes) assert.deepEqual(answer.codes, codes);
}

/** H60, H67, H75: a user document. `self` is the top-level link: the request's path and query. */
export function assertUserDocument(answer, status, { id, nickname, stamps, self }) {
  assert.equal(answer.status, status, answer.body);
  assertCommonHeaders(answer);
  assert.equal(answer.headers['content-type'], JSON_API);
  assert.equal(answer.headers.vary, 'Accept');
  const path = `/api/json/accounts/users/${id}`;
  assert.deepEqual(answer.json, {
    data: {
      attributes: { nickname, stamps_collected: stamps },
      id,
      links: { self: path },
      meta: {},
      relationships: {},
      type: 'user',
    },
    jsonapi: { version: '1.0' },
    links: { self: self ?? path },
  });
}
