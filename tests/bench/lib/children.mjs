// SPDX-License-Identifier: MIT
/* The bench programs as objects: a line goes in, the answer comes out as numbers. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { childrenOf } from '../../support/proc.mjs';

export const BENCH_BIN = process.env.BENCH_BIN ?? fileURLToPath(new URL('../../../build/bench', import.meta.url));
const ANSWER_MS = 300_000;

/** A program that writes lines, and ends when its stdin does. */
class Child {
  #lines = [];
  #waiting;
  #ended;

  constructor(program, args) {
    this.name = program;
    this.process = spawn(join(BENCH_BIN, program), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.process.stdin.on('error', () => {}); // its end is reported by 'close'
    createInterface({ input: this.process.stdout }).on('line', (line) => this.#on({ line }));
    this.closed = new Promise((resolve) => {
      this.process.on('error', (error) => this.#end(error.message, resolve));
      this.process.on('close', (code, signal) => this.#end(`ended (${signal ?? code})`, resolve));
    });
  }

  get pid() {
    return this.process.pid;
  }

  #end(why, resolve) {
    this.#ended = why;
    this.#on({ why });
    resolve();
  }

  #on(event) {
    if (this.#waiting) this.#waiting(event);
    else if (event.line !== undefined) this.#lines.push(event.line);
  }

  /** The next line; an error when the program ends instead, or takes too long. */
  line(timeout = ANSWER_MS) {
    if (this.#lines.length > 0) return Promise.resolve(this.#lines.shift());
    if (this.#ended) return Promise.reject(new Error(`${this.name} ${this.#ended}`));
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        settle(value);
      };
      const timer = setTimeout(
        () => done(reject, new Error(`${this.name} does not answer within ${timeout} ms`)),
        timeout,
      );
      this.#waiting = ({ line, why }) => {
        if (why) done(reject, new Error(`${this.name} ${why}`));
        else done(resolve, line);
      };
    });
  }

  async stop() {
    this.process.stdin.end();
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 10_000);
    await this.closed;
    clearTimeout(timer);
  }
}

/** The yardstick server. `spoil` gives it a defect, see tests/bench/floor.c. */
export class Floor extends Child {
  static async start({ spoil } = {}) {
    const floor = new Floor('floor', spoil ? ['--spoil', spoil] : []);
    floor.url = (await floor.line(5000)).replace(/^url=/, '');
    return floor;
  }
}

/** The API's yardstick: what tests/bench/fcgi_floor.c says, with its options in lower case. */
export class FcgiFloor extends Child {
  static async start(options) {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const floor = new FcgiFloor('fcgi_floor', args);
    floor.socket = options.socket;
    await floor.line(5000);
    return floor;
  }

  get workers() {
    return childrenOf(this.pid);
  }
}

/** Thousands of clients in one process; the commands are those of `loadgen --help`. */
export class Loadgen extends Child {
  /** Options as on its command line, in camel case: {url, clients, heartbeatMs}. */
  static start(options) {
    const args = Object.entries(options).flatMap(([name, value]) => [
      `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      String(value),
    ]);
    return new Loadgen('loadgen', args);
  }

  async #command(name, args = {}) {
    const words = Object.entries(args).map(([key, value]) => `${key}=${value}`);
    this.process.stdin.write(`${[name, ...words].join(' ')}\n`);
    const answer = await this.line();
    if (answer.startsWith('error')) throw new Error(`loadgen: ${answer}`);
    return Object.fromEntries(
      answer.split(' ').map((pair) => {
        const [key, value] = pair.split('=');
        return [key, Number(value)];
      }),
    );
  }

  join(args) {
    return this.#command('join', args);
  }

  publish(args) {
    return this.#command('publish', args);
  }

  /** For broadcasts that another load generator publishes: first this, then `expected`. */
  expect(args) {
    return this.#command('begin-expect', args);
  }

  expected() {
    return this.#command('end-expect');
  }

  /** For clients that come back: first this, then they lose their server, then `returned`. */
  beginReturn() {
    return this.#command('begin-return');
  }

  returned(args) {
    return this.#command('end-return', args);
  }

  /** Waits until all know the same `refs` entries of their room. */
  views(args) {
    return this.#command('views', args);
  }

  /** Members leave and join again for a while. */
  churn(args) {
    return this.#command('churn', args);
  }

  hold(ms) {
    return this.#command('hold', { ms });
  }

  status() {
    return this.#command('status');
  }
}
