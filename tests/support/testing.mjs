// SPDX-License-Identifier: MIT
/*
 * What every test file needs of a test framework: node:test with a time limit on every test, and
 * waiting for a condition. Tests wait for what they want to see, never for an amount of time.
 */
import nodeTest, { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

export { after };

const TEST_LIMIT_MS = 60_000;
const POLL_MS = 20;

/** A test with a time limit. `limit` (ms) is for the few that need longer. */
export function test(name, fn, { limit = TEST_LIMIT_MS } = {}) {
  return nodeTest(name, { timeout: limit }, fn);
}

/** One subtest per row; `name` makes its title from the row. */
export function table(title, rows, name, fn) {
  return test(title, async (t) => {
    for (const row of rows) await t.test(name(row), () => fn(row));
  });
}

/**
 * Asks `probe` again and again until it returns something truthy, and returns that. An exception of
 * the last attempt becomes the cause of the error.
 */
export async function eventually(what, probe, timeout = 5000) {
  const deadline = Date.now() + timeout;
  for (;;) {
    let cause;
    try {
      const result = await probe();
      if (result) return result;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`after ${timeout} ms still not true: ${what}`, { cause });
    }
    await delay(POLL_MS);
  }
}

/** `promise`, or an error that says what was waited for. */
export async function within(timeout, what, promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const detail = typeof what === 'function' ? what() : what;
      reject(new Error(`after ${timeout} ms still waiting for ${detail}`));
    }, timeout);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `fn` and returns how long it took, in milliseconds, with its result. */
export async function timed(fn) {
  const start = performance.now();
  const result = await fn();
  return { result, ms: performance.now() - start };
}
