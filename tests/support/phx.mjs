// SPDX-License-Identifier: MIT
/*
 * A Phoenix Channels client that hides nothing: it sends the frames a test writes down, keeps every
 * frame that comes back, and hands them out in order. Frames are compared as they are on the wire:
 * V2 text as [join_ref, ref, topic, event, payload], V1 text as its object, binary as a Buffer.
 */
import { WebSocket } from 'ws';
import { within } from './testing.mjs';

const PATIENCE_MS = 5000;

/** The URL a phoenix.js client would open: /websocket appended, user params first, vsn last (C4). */
export function socketUrl(base, { token, vsn = '2.0.0', params = {} } = {}) {
  const query = [];
  if (token !== undefined) query.push(`userToken=${encodeURIComponent(token)}`);
  for (const [key, value] of Object.entries(params)) {
    query.push(`${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  }
  if (vsn !== null) query.push(`vsn=${encodeURIComponent(vsn)}`);
  return `${base}/websocket?${query.join('&')}`;
}

/** Tries to connect and returns the status of the answer; 101 is closed again. */
export function connectStatus(base, { protocols = [], headers = {}, ...options } = {}) {
  const ws = new WebSocket(socketUrl(base, options), protocols, { headers });
  return within(
    10_000,
    'an answer to the upgrade',
    new Promise((resolve, reject) => {
      ws.on('unexpected-response', (request, response) => {
        response.resume();
        request.destroy();
        resolve(response.statusCode);
      });
      ws.on('open', () => {
        ws.terminate();
        resolve(101);
      });
      ws.on('error', reject);
    }),
  );
}

export class PhxClient {
  #ws;
  #cursor = 0;
  #ref = 0;
  #wake = new Set();
  #joinRefs = new Map();
  frames = [];
  texts = []; // the same frames undecoded (null for binary ones), for exact bytes
  closeEvent = null;

  /** Options: token, vsn, params (C4), protocols, headers, autoPong. */
  static async open(base, { protocols = [], headers = {}, autoPong = true, ...options } = {}) {
    const client = new PhxClient();
    const ws = new WebSocket(socketUrl(base, options), protocols, {
      headers,
      autoPong,
      maxPayload: 64 * 1024 * 1024,
      perMessageDeflate: false,
    });
    client.#ws = ws;
    client.vsn = options.vsn ?? '2.0.0';
    ws.on('message', (data, isBinary) => client.#received(data, isBinary));
    ws.on('close', (code, reason) => client.#closed(code, reason.toString()));
    const opened = new Promise((resolve, reject) => {
      ws.on('open', resolve);
      ws.on('error', reject);
    });
    try {
      await within(10_000, 'an open websocket', opened);
    } catch (error) {
      client.terminate(); // or it might still open, with nobody to close it
      throw error;
    }
    return client;
  }

  get protocol() {
    return this.#ws.protocol;
  }

  get isClosed() {
    return this.closeEvent !== null;
  }

  #received(data, isBinary) {
    const text = isBinary ? null : data.toString();
    this.texts.push(text);
    this.frames.push(isBinary ? data : JSON.parse(text));
    this.#notify();
  }

  #closed(code, reason) {
    this.closeEvent = { code, reason };
    this.#notify();
  }

  #notify() {
    const waiting = [...this.#wake];
    this.#wake.clear();
    for (const wake of waiting) wake();
  }

  #change() {
    return new Promise((resolve) => this.#wake.add(resolve));
  }

  /** Text or bytes exactly as given. */
  sendRaw(data) {
    this.#ws.send(data);
  }

  send(frame) {
    this.#ws.send(JSON.stringify(frame));
  }

  ping(payload) {
    this.#ws.ping(payload);
  }

  /** Reads nothing from now on. */
  pause() {
    this.#ws.pause();
  }

  /** The payload of the next pong. */
  async pong(timeout = PATIENCE_MS) {
    const pong = new Promise((resolve) => this.#ws.once('pong', resolve));
    return (await within(timeout, 'a pong', pong)).toString();
  }

  /** The first frame not handed out yet for which `matches` is true; those before it are passed. */
  until(matches, { timeout = PATIENCE_MS, what = 'a matching frame' } = {}) {
    const search = async () => {
      for (;;) {
        while (this.#cursor < this.frames.length) {
          const frame = this.frames[this.#cursor++];
          if (matches(frame)) return frame;
        }
        if (this.closeEvent) throw new Error(`closed with ${this.closeEvent.code} before ${what}`);
        await this.#change();
      }
    };
    return within(timeout, () => `${what}; ${this.#history()}`, search());
  }

  /** The next frame. */
  next(timeout = PATIENCE_MS) {
    return this.until(() => true, { timeout, what: 'a frame' });
  }

  /** The next frame as the text it was. */
  async nextText(timeout = PATIENCE_MS) {
    await this.next(timeout);
    return this.texts[this.#cursor - 1];
  }

  /** What has come so far counts as handed out. */
  pass() {
    this.#cursor = this.frames.length;
  }

  /** Frames received but not handed out yet. */
  pending() {
    return this.frames.slice(this.#cursor);
  }

  #history() {
    const last = this.texts.slice(-5).map((text) => (text ?? '<binary>').slice(0, 200));
    return `${this.frames.length} frames so far, the last: ${last.join(' ')}`;
  }

  nextRef() {
    return String(++this.#ref);
  }

  /** Joins and returns the reply frame; later push() and call() carry the join's ref (V2). */
  async join(topic, payload = {}) {
    const ref = this.nextRef();
    this.#joinRefs.set(topic, ref);
    this.send([ref, ref, topic, 'phx_join', payload]);
    return this.until((frame) => frame[3] === 'phx_reply' && frame[1] === ref, {
      what: `the answer to the join of ${topic}`,
    });
  }

  /** Sends a message on a joined topic and returns its ref. */
  push(topic, event, payload = {}) {
    const ref = this.nextRef();
    this.send([this.#joinRefs.get(topic) ?? null, ref, topic, event, payload]);
    return ref;
  }

  /** Sends a message and returns the reply's payload. */
  async call(topic, event, payload = {}) {
    const ref = this.push(topic, event, payload);
    const reply = await this.until((frame) => frame[3] === 'phx_reply' && frame[1] === ref, {
      what: `the reply to ${event}`,
    });
    return reply[4];
  }

  /**
   * Everything that this client's channel caused before now has arrived when this returns (C65, C66).
   * Returns the frames that came before the answer and had not been handed out.
   */
  async settle(topic = 'notifications') {
    const start = this.#cursor;
    await this.call(topic, 'ping', {});
    return this.frames.slice(start, this.#cursor - 1);
  }

  /** Waits for the close and returns {code, reason}. */
  async closed(timeout = PATIENCE_MS) {
    const wait = async () => {
      while (!this.closeEvent) await this.#change();
    };
    await within(timeout, () => `the close; ${this.#history()}`, wait());
    return this.closeEvent;
  }

  /** Closes and waits until it is done. */
  async leave(code = 1000) {
    this.#ws.close(code);
    return this.closed();
  }

  terminate() {
    this.#ws.terminate();
  }
}
