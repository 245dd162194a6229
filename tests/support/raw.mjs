// SPDX-License-Identifier: MIT
/*
 * Bytes over TCP: requests and websocket frames exactly as a test writes them, well-formed or not,
 * and what comes back. For everything that a polite client library would refuse to send.
 */
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { within } from './testing.mjs';

export const WS_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const WS_ACCEPT = createHash('sha1')
  .update(`${WS_KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  .digest('base64');

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** An upgrade request. Headers given replace the standard ones; undefined leaves one out. */
export function upgradeRequest(target, headers = {}, { method = 'GET', version = '1.1' } = {}) {
  const all = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': WS_KEY,
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/${version}\r\n${lines.join('')}\r\n`;
}

/** One client frame. All the ways to be wrong are options. */
export function clientFrame(op, payload = '', { fin = true, rsv = 0, masked = true } = {}) {
  const data = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | op];
  const mask = masked ? 0x80 : 0;
  if (data.length < 126) head.push(mask | data.length);
  else if (data.length < 65536) head.push(mask | 126, data.length >> 8, data.length & 255);
  else {
    const long = Buffer.alloc(8);
    long.writeBigUInt64BE(BigInt(data.length));
    head.push(mask | 127, ...long);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), data]);
  const key = randomBytes(4);
  const body = Buffer.from(data.map((byte, i) => byte ^ key[i & 3]));
  return Buffer.concat([Buffer.from(head), key, body]);
}

export function closeFrame(code) {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return clientFrame(opcode.close, payload);
}

export class RawConnection {
  #socket;
  #received = Buffer.alloc(0);
  #wake = () => {};
  hasEnded = false;

  /** `port` may also be the path of a unix socket. */
  static async open(port, host = '127.0.0.1') {
    const connection = new RawConnection();
    await within(5000, 'a connection', connection.#connect(port, host));
    return connection;
  }

  #connect(port, host) {
    const socket = net.connect(port, host);
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('close', () => {
      this.hasEnded = true;
      this.#wake();
    });
    return new Promise((resolve, reject) => {
      socket.once('connect', () => {
        socket.on('error', () => {}); // 'close' follows
        resolve();
      });
      socket.once('error', reject);
    });
  }

  write(data) {
    this.#socket.write(data);
  }

  /** No more writing: the peer reads to the end, and may still answer. */
  finish() {
    this.#socket.end();
  }

  /** No more reading: the peer's output piles up. */
  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  destroy() {
    this.#socket.destroy();
  }

  /** One HTTP response: {status, headers (lower-case names), body}. */
  async response({ hasBody = true, timeout = 5000 } = {}) {
    const end = await this.#until(
      () => this.#received.indexOf('\r\n\r\n') + 4,
      (found) => found >= 4,
      'a response head',
      timeout,
    );
    const [statusLine, ...lines] = this.#take(end).toString('latin1').trimEnd().split('\r\n');
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const length = hasBody ? Number(headers['content-length'] ?? 0) : 0;
    const body = (await this.bytes(length, timeout)).toString();
    return { status: Number(statusLine.split(' ')[1]), statusLine, headers, body };
  }

  async bytes(count, timeout = 5000) {
    await this.#until(
      () => this.#received.length,
      (length) => length >= count,
      `${count} bytes`,
      timeout,
    );
    return this.#take(count);
  }

  /** One server frame: {op, fin, payload}. A masked one is an error of the server. */
  async frame(timeout = 5000) {
    const [first, second] = await this.bytes(2, timeout);
    if (second & 0x80) throw new Error('the server masked a frame');
    let length = second & 0x7f;
    if (length === 126) length = (await this.bytes(2, timeout)).readUInt16BE();
    else if (length === 127) length = Number((await this.bytes(8, timeout)).readBigUInt64BE());
    const payload = await this.bytes(length, timeout);
    return { op: first & 15, fin: (first & 0x80) !== 0, rsv: (first >> 4) & 7, payload };
  }

  /** The next text frame as JSON. */
  async json(timeout = 5000) {
    const frame = await this.frame(timeout);
    if (frame.op !== opcode.text) {
      throw new Error(`opcode ${frame.op} ${frame.payload.toString('hex')}, expected text`);
    }
    return JSON.parse(frame.payload.toString());
  }

  /** Reads until the close frame and returns its code; null when TCP ended without one. */
  async closeCode(timeout = 5000) {
    for (;;) {
      let frame;
      try {
        frame = await this.frame(timeout);
      } catch (error) {
        if (this.hasEnded) return null;
        throw error;
      }
      if (frame.op === opcode.close) {
        return frame.payload.length >= 2 ? frame.payload.readUInt16BE() : 1005;
      }
    }
  }

  async ended(timeout = 5000) {
    await within(timeout, 'the end of the connection', this.#end());
  }

  async #end() {
    while (!this.hasEnded) await this.#change();
  }

  #change() {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(count) {
    const taken = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return taken;
  }

  async #until(look, isEnough, what, timeout) {
    const wait = async () => {
      for (;;) {
        const seen = look();
        if (isEnough(seen)) return seen;
        if (this.hasEnded) throw new Error(`the peer closed before ${what}`);
        await this.#change();
      }
    };
    return within(timeout, () => `${what}; received ${this.#excerpt()}`, wait());
  }

  #excerpt() {
    return JSON.stringify(this.#received.subarray(0, 300).toString('latin1'));
  }
}
