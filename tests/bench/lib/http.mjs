// SPDX-License-Identifier: MIT
/* The HTTP load generator, and pgbench as its yardstick: what the same statement costs without us. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../support/proc.mjs';
import { RawConnection } from '../../support/raw.mjs';
import { BENCH_BIN } from './children.mjs';

const PATIENCE_MS = 60_000;
export const NUMBER_DIGITS = 12;
const WEB_SERVERS_OWN = ['accept-ranges', 'date', 'server'];

async function output(file, args, options) {
  const { code, stdout, stderr } = await run(file, args, { timeout: PATIENCE_MS, ...options });
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${stdout}${stderr}`);
  return stdout;
}

/**
 * Sends a request again and again: {answers, refused, per_s, p50_us, p99_us}. Each {number} in it
 * becomes NUMBER_DIGITS hex digits of a number below `numbers`.
 */
export async function httpgen({ url, connections, seconds, numbers = 1, request }) {
  const options = { port: new URL(url).port, connections, seconds, numbers };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const line = await output(join(BENCH_BIN, 'httpgen'), args, { input: request });
  const pairs = line.trim().split(' ').map((pair) => pair.split('='));
  return Object.fromEntries(pairs.map(([key, value]) => [key, Number(value)]));
}

/** The answer to the request, sent once, as a CGI program writes it: without what the web server adds. */
export async function cgiAnswer({ url, request }) {
  const connection = await RawConnection.open(new URL(url).port);
  try {
    connection.write(request.replace('{number}', '0'.repeat(NUMBER_DIGITS)));
    const { status, headers, body } = await connection.response();
    const lines = Object.entries(headers)
      .filter(([name]) => !WEB_SERVERS_OWN.includes(name))
      .map(([name, value]) => `${name}: ${value}`);
    return [`Status: ${status}`, ...lines, '', body].join('\r\n');
  } finally {
    connection.destroy();
  }
}

/** Runs a script with prepared statements; transactions per second, without connecting. */
export async function pgbench({ databaseUrl, connections, seconds, script }) {
  const dir = mkdtempSync(join(tmpdir(), 'tako-pgbench-'));
  try {
    const file = join(dir, 'script.sql');
    writeFileSync(file, script);
    const bin = (await output('pg_config', ['--bindir'])).trim();
    const args = ['-n', '-M', 'prepared', '-c', connections, '-j', 2, '-T', seconds, '-f', file, databaseUrl];
    const text = await output(join(bin, 'pgbench'), args.map(String));
    return Number(/^tps = ([\d.]+)/m.exec(text)[1]);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
