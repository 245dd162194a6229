// SPDX-License-Identifier: MIT
/* Processes: running one to its end, and looking at those of a stack through /proc. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { within } from './testing.mjs';

/**
 * Runs a program to its end. Never throws for its exit status: {code, signal, stdout, stderr}. One
 * that outlives `timeout` is killed, and that is an error.
 */
export function run(file, args, { env, cwd, input = '', timeout = 20_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${file} ${args.join(' ')} did not end within ${timeout} ms`));
    }, timeout);
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: stdout.text(), stderr: stderr.text() });
    });
    child.stdin.on('error', () => {}); // a program need not read its input
    child.stdin.end(input);
  });
}

/** Keeps what a stream says; text() is all of it so far. */
export function collect(stream) {
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  return { text: () => Buffer.concat(chunks).toString() };
}

/** Process ids of the living children of a process. */
export function childrenOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number).filter(isRunning);
  } catch {
    return []; // gone
  }
}

/** False for a process that is gone and for one that only waits to be reaped. */
export function isRunning(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^\d+ \(.*\) [ZX]/s.test(stat);
  } catch {
    return false;
  }
}

/** Stops a process with its children for the time `fn` takes, and always lets them go on. */
export async function whileFrozen(pid, fn) {
  const frozen = [];
  try {
    freeze(pid, frozen);
    return await fn();
  } finally {
    for (const each of frozen) signal(each, 'SIGCONT');
  }
}

/** The parent first: what stands still makes no more children. */
function freeze(pid, frozen) {
  if (!signal(pid, 'SIGSTOP')) return;
  frozen.push(pid);
  for (const child of childrenOf(pid)) freeze(child, frozen);
}

/** False when the process has ended meanwhile. */
export function signal(pid, name) {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
    throw error;
  }
}

/** SIGTERM, and SIGKILL for one that does not go in time, which is an error. */
export async function stopProcess(child, timeout, name) {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  try {
    await within(timeout, `the end of ${name}`, exited);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** A TCP port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
