// SPDX-License-Identifier: MIT
/*
 * A PostgreSQL of its own for one test file, without the rest of a stack: for tests that need an
 * empty database, or one in a state that tako itself would never bring about. Gone when the test
 * file ends.
 */
import { spawn } from 'node:child_process';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { collect, run } from './proc.mjs';
import { after, eventually, within } from './testing.mjs';

const START_MS = 30_000;
const STOP_MS = 20_000;

/** Starts a server that is stopped when the test file ends. */
export async function startPostgres() {
  const server = new PostgresServer();
  after(() => server.stop());
  await server.start();
  return server;
}

class PostgresServer {
  #child;
  #output;
  #databases = 0;

  async start() {
    // Short, because the path of a unix socket must be.
    this.dir = await mkdtemp('/tmp/tako-pg-');
    this.bin = (await succeed('pg_config', ['--bindir'])).trim();
    this.user = await serverUser();
    if (this.user) await chown(this.dir, this.user.uid, this.user.gid);
    const data = join(this.dir, 'data');
    await succeed(...this.#command('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-N'));
    const [file, args] = this.#command(
      'postgres', '-D', data, '-c', 'listen_addresses=', '-c', `unix_socket_directories=${this.dir}`,
      '-c', 'fsync=off', '-c', 'max_connections=50',
    );
    this.#child = spawn(file, args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#output = [collect(this.#child.stdout), collect(this.#child.stderr)];
    process.once('exit', () => this.#child.kill('SIGQUIT')); // the runner gave up on this file
    await eventually('PostgreSQL answers', async () => {
      if (this.#child.exitCode !== null) throw new Error(`postgres ended: ${this.log}`);
      return (await run(join(this.bin, 'pg_isready'), ['-q', '-h', this.dir])).code === 0;
    }, START_MS);
  }

  /** The server refuses to run as root. setpriv execs, so that the child is the server itself. */
  #command(program, ...args) {
    const file = join(this.bin, program);
    if (!this.user) return [file, args];
    const { uid, gid } = this.user;
    return ['setpriv', ['--reuid', uid, '--regid', gid, '--clear-groups', file, ...args].map(String)];
  }

  get pid() {
    return this.#child.pid;
  }

  get log() {
    return this.#output.map((stream) => stream.text()).join('');
  }

  /** A new, empty database. */
  async createDatabase() {
    const name = `test_${++this.#databases}`;
    await this.#database('postgres').sql(`create database ${name}`);
    return this.#database(name);
  }

  #database(name) {
    return new Database(name, `postgres://postgres@/${name}?host=${this.dir}`);
  }

  async stop() {
    try {
      if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null) {
        const exited = new Promise((resolve) => this.#child.once('exit', resolve));
        this.#child.kill('SIGINT');
        await within(STOP_MS, 'the end of postgres', exited);
      }
    } catch (error) {
      this.#child.kill('SIGQUIT');
      throw error;
    } finally {
      if (this.dir) await rm(this.dir, { recursive: true, force: true });
    }
  }
}

/** A database, wherever it is: that of a stack, too. */
export class Database {
  constructor(name, url) {
    this.name = name;
    this.url = url;
  }

  get #psql() {
    return ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', this.url];
  }

  /** Runs statements; what they select comes back as text. */
  async sql(statements) {
    return (await succeed('psql', this.#psql, { input: statements })).trim();
  }

  /** The rows of one select, as objects. */
  async rows(select) {
    return JSON.parse(await this.sql(`select coalesce(json_agg(r), '[]') from (${select}) as r`));
  }

  /** A session that has run `statements` and stays open until release(). */
  async hold(statements) {
    const child = spawn('psql', this.#psql, { stdio: ['pipe', 'pipe', 'pipe'] });
    const output = collect(child.stdout);
    child.stdin.write(`${statements};\nselect 'holding', pg_backend_pid();\n`);
    const [, pid] = await eventually('the session holds what it should', () => {
      return /^holding\|(\d+)$/m.exec(output.text());
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const release = () => {
      child.stdin.end();
      return within(5000, 'the end of psql', ended);
    };
    return { pid: Number(pid), release };
  }
}

/** Whom the server runs as: nobody else, unless this is root. */
async function serverUser() {
  if (process.getuid() !== 0) return null;
  const [uid, gid] = (await succeed('getent', ['passwd', 'postgres'])).split(':').slice(2).map(Number);
  return { uid, gid };
}

async function succeed(file, args, options) {
  const { code, stdout, stderr } = await run(file, args, { cwd: '/', timeout: START_MS, ...options });
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${stdout}${stderr}`);
  return stdout;
}
