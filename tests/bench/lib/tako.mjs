// SPDX-License-Identifier: MIT
/* The real thing: deploy/stack in a private directory, with users for the load generators. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childrenOf, collect, run } from '../../support/proc.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const START_MS = 60_000;
const STOP_MS = 60_000;

export class Tako {
  /** `users`: load generators may use the clients 0 to users - 1. `env` reaches all programs. */
  static async start({ brokers = 1, workers = 1, users = 0, env = {} } = {}) {
    const tako = new Tako();
    try {
      await tako.#start({ brokers, workers, env });
      if (users > 0) await tako.#createUsers(users);
    } catch (error) {
      await tako.stop();
      throw error;
    }
    return tako;
  }

  #child;
  #vars = {};

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'tako-bench-'));
  }

  async #start({ brokers, workers, env }) {
    this.#child = spawn(join(ROOT, 'deploy/stack'), [], {
      cwd: ROOT,
      env: {
        ...process.env,
        DIR: this.dir,
        PORT: '0',
        BROKERS: String(brokers),
        WORKERS: String(workers),
        TAKO_DRAIN_MS: '500',
        TAKO_MESSAGES_PER_S: '0', // one client speaks for many
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // Ctrl-C is for us; we stop it in order
    });
    const output = [collect(this.#child.stdout), collect(this.#child.stderr)];
    const said = () => output.map((stream) => stream.text()).join('');
    let timer;
    const ready = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no stack in time: ${said()}`)), START_MS);
      this.#child.stdout.on('data', () => {
        if (said().includes('tako is ready')) resolve();
      });
      this.#child.on('error', reject);
      this.#child.on('exit', () => reject(new Error(`deploy/stack ended: ${said()}`)));
    });
    await ready.finally(() => clearTimeout(timer));
    this.#readVars();
  }

  #readVars() {
    const script = 'set -a; . "$1"; env -0';
    const text = execFileSync('bash', ['--norc', '-c', script, '-', join(this.dir, 'stack.env')], {
      env: { PATH: process.env.PATH },
      encoding: 'utf8',
    });
    for (const line of text.split('\0').filter(Boolean)) {
      const at = line.indexOf('=');
      this.#vars[line.slice(0, at)] = line.slice(at + 1);
    }
  }

  async #createUsers(count) {
    const sql = `insert into users (id, nickname)
      select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Bench_' || n
      from generate_series(0, ${count - 1}) as n; analyze users`;
    await this.sql(sql);
  }

  /** Runs statements; what they select comes back as text. */
  async sql(statements) {
    const args = ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', this.databaseUrl, '-c', statements];
    const options = { env: { PATH: process.env.PATH }, timeout: 120_000 };
    const { code, stdout, stderr } = await run('psql', args, options);
    if (code !== 0) throw new Error(`psql: ${stderr}`);
    return stdout.trim();
  }

  /** The web server, with the API behind it. */
  get url() {
    return this.#vars.TAKO_URL;
  }

  get token() {
    return this.#vars.HOLOQUEST_API_TOKEN;
  }

  get databaseUrl() {
    return this.#vars.DATABASE_URL;
  }

  get apiWorkers() {
    return childrenOf(Number(this.#vars.TAKO_API_PIDS));
  }

  /** Where the web server finds the API. */
  get apiSocket() {
    return this.#vars.TAKO_API_SOCKET;
  }

  /**
   * Does `work` while somebody else answers at the API's socket. Renaming is enough, because the web
   * server connects anew for each request.
   */
  async withApiFrom(socket, work) {
    const aside = `${this.apiSocket}.aside`;
    renameSync(this.apiSocket, aside);
    renameSync(socket, this.apiSocket);
    try {
      return await work();
    } finally {
      renameSync(this.apiSocket, socket);
      renameSync(aside, this.apiSocket);
    }
  }

  /** What `takoctl nodes --json` says: one object per worker. */
  async nodes() {
    const bin = process.env.TAKO_BIN ?? join(ROOT, 'build/bin');
    const { REDIS_URL } = this.#vars;
    const { code, stdout, stderr } = await run(join(bin, 'takoctl'), ['nodes', '--json'], { env: { REDIS_URL } });
    if (code !== 0) throw new Error(`takoctl nodes: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** ws://127.0.0.1:port/socket of each broker. */
  get urls() {
    return this.#vars.TAKO_BROKER_URLS.split(' ');
  }

  get redis() {
    return this.#vars.REDIS_URL;
  }

  get redisPid() {
    return Number(this.#vars.TAKO_REDIS_PID);
  }

  get postgresPid() {
    return Number(this.#vars.TAKO_POSTGRES_PID);
  }

  /** The processes that serve clients, of all brokers. */
  get workers() {
    return this.#vars.TAKO_BROKER_PIDS.split(' ').flatMap((pid) => childrenOf(Number(pid)));
  }

  async stop() {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    }
    if (process.env.TAKO_KEEP) console.log(`kept: ${this.dir}`);
    else rmSync(this.dir, { recursive: true, force: true });
  }
}
