// SPDX-License-Identifier: MIT
/*
 * A whole tako of its own for one test file: deploy/stack in a private directory, with everything
 * real (PostgreSQL, Redis, lighttpd, the three programs). What a test starts here is gone when the
 * test file ends, also when it fails.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HttpClient } from './http.mjs';
import { collect, freePort, isRunning, run, stopProcess } from './proc.mjs';
import { after, eventually, within } from './testing.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const STARTER = join(ROOT, 'deploy/stack');
export const TAKO_BIN = resolve(ROOT, process.env.TAKO_BIN ?? 'build/bin');

/** For what memory is measured of: AddressSanitizer keeps freed memory for a while, like a leak. */
export const FLAT_MEMORY = {
  ASAN_OPTIONS: [process.env.ASAN_OPTIONS, 'quarantine_size_mb=1'].filter(Boolean).join(':'),
};
/** A tako-broker with a channel `crash:*` that fails when it is told to (crash_broker.c). */
export const CRASH_BROKER = resolve(TAKO_BIN, '../tests/crash_broker');
const START_MS = 60_000;
const STOP_MS = 30_000;

/**
 * Starts a stack that is stopped when the test file ends. `env` reaches all programs; see --help of
 * each for its settings.
 */
export async function startStack({ brokers = 1, workers = 1, env = {} } = {}) {
  const stack = new Stack();
  try {
    await stack.start({ brokers, workers, env });
  } catch (error) {
    await stack.stop();
    throw error;
  }
  after(() => stack.stop());
  return stack;
}

class Stack {
  #child;
  #output;
  #vars = {};
  #extras = [];

  async start({ brokers, workers, env }) {
    this.dir = await mkdtemp(join(tmpdir(), 'tako-test-'));
    this.env = {
      ...process.env,
      TAKO_BIN,
      DIR: this.dir,
      PORT: '0',
      BROKERS: String(brokers),
      WORKERS: String(workers),
      TAKO_DRAIN_MS: '200',
      ...env,
    };
    this.#child = spawn(STARTER, [], { cwd: ROOT, env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#output = [collect(this.#child.stdout), collect(this.#child.stderr)];
    process.once('exit', () => this.#child.kill('SIGTERM')); // the runner gave up on this file
    await within(START_MS, () => `the stack to start: ${this.#said()}`, this.#ready());
    await this.refresh();
    this.api = new HttpClient(this.url, this.token);
  }

  #said() {
    return this.#output.map((stream) => stream.text()).join('\n');
  }

  #ready() {
    return new Promise((resolve, reject) => {
      this.#child.stdout.on('data', () => {
        if (/^tako is ready on /m.test(this.#said())) resolve();
      });
      this.#child.on('error', reject);
      this.#child.on('exit', (code, signal) => {
        reject(new Error(`deploy/stack ended (${code ?? signal}): ${this.#said()}`));
      });
    });
  }

  /** Reads stack.env again: process ids change when a program is started anew. */
  async refresh() {
    // --norc: bash takes a stdin from Node for one from a remote shell, and reads the user's .bashrc.
    const script = 'set -a; . "$1"; env -0';
    const text = execFileSync('bash', ['--norc', '-c', script, '-', `${this.dir}/stack.env`], {
      env: { PATH: process.env.PATH },
      encoding: 'utf8',
    });
    this.#vars = Object.fromEntries(
      text
        .split('\0')
        .filter(Boolean)
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    return this;
  }

  #list(name) {
    return (this.#vars[name] ?? '').split(/\s+/).filter(Boolean);
  }

  get url() {
    return this.#vars.TAKO_URL;
  }

  get token() {
    return this.#vars.HOLOQUEST_API_TOKEN;
  }

  get adminToken() {
    return this.#vars.TAKO_ADMIN_TOKEN;
  }

  /** The websocket endpoint behind the web server, where browsers connect. */
  get socketUrl() {
    return `${this.url.replace(/^http/, 'ws')}/socket`;
  }

  /** ws://127.0.0.1:port/socket of each broker. */
  get brokerUrls() {
    return this.#list('TAKO_BROKER_URLS');
  }

  get brokerPorts() {
    return this.brokerUrls.map((url) => Number(new URL(url).port));
  }

  /** The supervisors. */
  get brokerPids() {
    return this.#list('TAKO_BROKER_PIDS').map(Number);
  }

  /** The master process of tako-api. */
  get apiPid() {
    return Number(this.#list('TAKO_API_PIDS')[0]);
  }

  get postgresPid() {
    return Number(this.#vars.TAKO_POSTGRES_PID);
  }

  get redisPid() {
    return Number(this.#vars.TAKO_REDIS_PID);
  }

  get redisSocket() {
    return new URL(this.#vars.REDIS_URL).pathname;
  }

  /** Where tako-api listens for FastCGI. */
  get apiSocket() {
    return this.#vars.TAKO_API_SOCKET;
  }

  /** What an operator's shell has after reading stack.env; TAKO_ settings of ours stay. */
  get operatorEnv() {
    const ours = Object.entries(process.env).filter(([name]) => name.startsWith('TAKO_'));
    return { PATH: process.env.PATH, HOME: this.dir, ...Object.fromEntries(ours), ...this.#vars };
  }

  /** What the stack's programs have: to run one more of them beside the stack. */
  get programEnv() {
    const TAKO_PROFANITY_FILE = join(ROOT, 'common/accounts/profanity.txt');
    return { TAKO_PROFANITY_FILE, ...this.env, ...this.operatorEnv };
  }

  /** deploy/stack <action> <part>: stop, start or restart redis, postgres, api, lighttpd, brokerN. */
  async control(action, part) {
    const result = await run(STARTER, [action, part], { cwd: ROOT, env: this.env, timeout: 60_000 });
    if (result.code !== 0) {
      throw new Error(`deploy/stack ${action} ${part}: ${result.stdout}${result.stderr}`);
    }
    await this.refresh();
  }

  /** Stops a part for the time that `fn` takes, and starts it again in any case. */
  async whileStopped(part, fn) {
    await this.control('stop', part);
    try {
      return await fn();
    } finally {
      await this.control('start', part);
    }
  }

  /** Runs takoctl: {code, stdout, stderr}. */
  takoctl(...args) {
    return this.takoctlWith(this.operatorEnv, ...args);
  }

  /** The same with another environment. */
  takoctlWith(env, ...args) {
    return run(join(TAKO_BIN, 'takoctl'), args, { env });
  }

  /** Runs takoctl and returns its output; a failure is an error. */
  async takoctlOk(...args) {
    const { code, stdout, stderr } = await this.takoctl(...args);
    if (code !== 0) throw new Error(`takoctl ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** What `takoctl nodes --json` says: one object per broker worker. */
  async nodes() {
    return JSON.parse(await this.takoctlOk('nodes', '--json'));
  }

  /** Runs a statement; the rows of `select json_agg(...)` and the like come back as its text. */
  async sql(statement) {
    const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', this.#vars.DATABASE_URL];
    const { code, stdout, stderr } = await run('psql', args, {
      env: { PATH: process.env.PATH },
      input: statement,
    });
    if (code !== 0) throw new Error(`psql: ${stderr}`);
    return stdout.trim();
  }

  /** Runs one redis-cli command. */
  async redis(args, options) {
    const { code, stdout, stderr } = await run('redis-cli', ['-s', this.redisSocket, ...args], options);
    if (code !== 0) throw new Error(`redis-cli ${args[0]}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Publishes any bytes, or a value as JSON, as every Redis client can; returns how many heard it. */
  async publish(channel, message) {
    const isBytes = typeof message === 'string' || Buffer.isBuffer(message);
    const input = isBytes ? message : JSON.stringify(message);
    return Number(await this.redis(['-x', 'PUBLISH', channel], { input }));
  }

  /** What is said on a Redis channel from now on. */
  async subscribe(channel) {
    const subscriber = new Subscriber(spawn('redis-cli', ['-s', this.redisSocket, 'SUBSCRIBE', channel]));
    this.#extras.push(subscriber);
    await subscriber.started();
    return subscriber;
  }

  /** A registered user's id. */
  async createUser(nickname = `Test_${randomUUID().slice(0, 8)}`) {
    return (await this.api.register(nickname)).id;
  }

  createUsers(count) {
    return Promise.all(Array.from({ length: count }, () => this.createUser()));
  }

  /** One more broker, outside the supervised ones, with settings of its own; see CRASH_BROKER. */
  async startBroker(env = {}, program = join(TAKO_BIN, 'tako-broker'), port = undefined) {
    const broker = new Broker(program, port ?? (await freePort()));
    this.#extras.push(broker);
    await broker.start({ ...this.programEnv, ...env });
    return broker;
  }

  /** The tail of every log file, for a failure that needs it. */
  async logs(lines = 20) {
    const dir = join(this.dir, 'log');
    const files = await readdir(dir).catch(() => []);
    const tails = files.map(async (file) => {
      const text = await readFile(join(dir, file), 'utf8');
      return `== ${file}\n${text.split('\n').slice(-lines).join('\n')}`;
    });
    return (await Promise.all(tails)).join('\n');
  }

  async stop() {
    for (const extra of this.#extras) await extra.stop();
    await stopProcess(this.#child, STOP_MS, 'deploy/stack');
    if (this.dir && !process.env.TAKO_KEEP) await rm(this.dir, { recursive: true, force: true });
  }
}

/** tako-broker started by the test itself. */
class Broker {
  #program;
  #child;
  #output;

  constructor(program, port) {
    this.#program = program;
    this.port = port;
    this.url = `ws://127.0.0.1:${port}/socket`;
  }

  async start(env) {
    this.#child = spawn(this.#program, [], {
      env: {
        TAKO_WORKERS: '1',
        ...env,
        TAKO_HOST: '127.0.0.1',
        PORT: String(this.port),
        TAKO_NODE: `extra-${this.port}`,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#output = [collect(this.#child.stdout), collect(this.#child.stderr)];
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => resolve({ code, signal }));
    });
    await eventually(
      'the broker is ready',
      async () => {
        if (this.#child.exitCode !== null) throw new Error(`tako-broker ended: ${this.log}`);
        const health = new HttpClient(`http://127.0.0.1:${this.port}`);
        return (await health.send('GET', '/readyz')).status === 200;
      },
      15_000,
    );
  }

  get pid() {
    return this.#child.pid;
  }

  get log() {
    return this.#output.map((stream) => stream.text()).join('');
  }

  signal(name) {
    this.#child.kill(name);
  }

  stop() {
    return stopProcess(this.#child, STOP_MS, 'tako-broker');
  }
}

/** redis-cli SUBSCRIBE, whose output is "message", channel and text, a line each. */
class Subscriber {
  #child;
  #lines = [];
  #rest = '';
  #cursor = 0;

  constructor(child) {
    this.#child = child;
    child.stdout.on('data', (chunk) => {
      const lines = (this.#rest + chunk).split('\n');
      this.#rest = lines.pop();
      this.#lines.push(...lines);
    });
  }

  started() {
    return eventually('redis-cli is subscribed', () => this.#lines.includes('subscribe'));
  }

  /** All messages so far, parsed. */
  get messages() {
    const messages = [];
    for (let i = 0; i + 2 < this.#lines.length; i++) {
      if (this.#lines[i] === 'message') messages.push(JSON.parse(this.#lines[(i += 2)]));
    }
    return messages;
  }

  /** The next message not handed out yet for which `matches` is true. */
  until(matches = () => true, timeout = 5000) {
    return eventually(
      'a message on the Redis channel',
      () => {
        const messages = this.messages;
        while (this.#cursor < messages.length) {
          const message = messages[this.#cursor++];
          if (matches(message)) return message;
        }
        return null;
      },
      timeout,
    );
  }

  stop() {
    return stopProcess(this.#child, 5000, 'redis-cli');
  }
}

/** Waits until none of these processes is running. */
export function gone(pids, timeout = 10_000) {
  return eventually('the processes are gone', () => !pids.some(isRunning), timeout);
}
