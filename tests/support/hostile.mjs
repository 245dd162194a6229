// SPDX-License-Identifier: MIT
/*
 * Clients that only cost: a request that never ends, a request or a frame at one byte a second, a
 * member that never reads. All of one address, without a client library.
 */
import assert from 'node:assert/strict';
import { RawConnection, clientFrame, opcode, upgradeRequest } from './raw.mjs';

const DRIP_MS = 1000;
const AT_ONCE = 50;

const upgradeOf = (token) => upgradeRequest(`/socket/websocket?userToken=${token}&vsn=2.0.0`);

async function openSocket(raw, token) {
  raw.write(upgradeOf(token));
  assert.equal((await raw.response()).status, 101);
}

/** Writes a byte now and one every second; the last one is never sent. */
function drip(raw, text) {
  const bytes = Buffer.from(text);
  let at = 0;
  const next = () => {
    if (raw.hasEnded || at === bytes.length - 1) clearInterval(timer);
    else raw.write(bytes.subarray(at, ++at));
  };
  const timer = setInterval(next, DRIP_MS);
  next();
}

/** What each kind does once TCP is connected. */
const KINDS = {
  async silent() {},
  async unfinished(raw, { token }) {
    raw.write(upgradeOf(token).slice(0, -4));
  },
  async drippingRequest(raw, { token }) {
    drip(raw, upgradeOf(token));
  },
  async drippingFrame(raw, { token }) {
    await openSocket(raw, token);
    drip(raw, clientFrame(opcode.text, `[null,"1","phoenix","heartbeat",{"pad":"${'x'.repeat(100)}"}]`));
  },
  async deaf(raw, { token, topic }) {
    await openSocket(raw, token);
    raw.write(clientFrame(opcode.text, JSON.stringify(['1', '1', topic, 'phx_join', {}])));
    assert.equal((await raw.json())[4].status, 'ok');
    raw.pause();
  },
};

/** Those that never become a websocket. */
export const UNFINISHED = ['silent', 'unfinished', 'drippingRequest'];

/** `count` of them, the same number of each kind, in place when this returns: [{kind, raw}]. */
export async function gatherHostile(port, count, options) {
  const { token, topic = 'notifications', kinds = Object.keys(KINDS) } = options;
  const hostile = [];
  const add = async (kind) => {
    const raw = await RawConnection.open(port);
    hostile.push({ kind, raw });
    await KINDS[kind](raw, { token, topic });
  };
  for (let i = 0; i < count; i += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, count - i) }, (_, j) => i + j);
    await Promise.all(numbers.map((n) => add(kinds[n % kinds.length])));
  }
  return hostile;
}

export function dismissHostile(hostile) {
  for (const { raw } of hostile) raw.destroy();
}
