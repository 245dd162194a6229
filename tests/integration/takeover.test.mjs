// SPDX-License-Identifier: MIT
/*
 * One broker takes over from another on the same port (README, "More brokers"; C81): at no time is
 * there nobody who listens.
 */
import assert from 'node:assert/strict';
import { connectStatus } from '../support/phx.mjs';
import { startStack } from '../support/stack.mjs';
import { after, eventually, test } from '../support/testing.mjs';

const CALLERS = 8;

const stack = await startStack();
const user = await stack.createUser();

/** Connects again and again; what came of it, by status. */
class Callers {
  counts = {};
  #running = true;
  #done;

  constructor(url) {
    this.#done = Promise.all(Array.from({ length: CALLERS }, () => this.#call(url)));
  }

  async #call(url) {
    while (this.#running) {
      const status = await connectStatus(url, { token: user }).catch((error) => error.code);
      this.counts[status] = (this.counts[status] ?? 0) + 1;
    }
  }

  get accepted() {
    return this.counts[101] ?? 0;
  }

  async stop() {
    this.#running = false;
    await this.#done;
  }
}

test('a broker is replaced on its port, which is never closed to clients', async () => {
  const old = await stack.startBroker();
  const callers = new Callers(old.url);
  after(() => callers.stop());
  await eventually('they are let in', () => callers.accepted > 100, 10_000);
  const next = await stack.startBroker({ TAKO_SHARE_PORT: '1' }, undefined, old.port);
  await eventually('the new one serves', () => next.log.includes('serving'), 10_000);
  assert.deepEqual(Object.keys(callers.counts), ['101'], 'both serve');

  old.signal('SIGTERM'); // who is half-way in with it now gets 503 (C81)
  await old.exited;
  const before = callers.accepted;
  await eventually('the new one lets them in', () => callers.accepted > before + 100, 10_000);
  await callers.stop();
  const { 101: _served, 503: _sentAway, ECONNRESET: resets = 0, ...others } = callers.counts;
  assert.deepEqual(others, {}, 'nobody meets a closed port');
  assert.ok(resets <= 1, 'the kernel may take one between the last accept and the end of the socket');
  await next.stop();
});
