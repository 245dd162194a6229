// SPDX-License-Identifier: MIT
/*
 * The unmodified npm clients, every generation that is in use, and a page that uses one: its socket,
 * its channel, and everything that happened to it.
 */
import assert from 'node:assert/strict';
import phoenix134 from 'phoenix-1.3.4';
import phoenix1417 from 'phoenix-1.4.17';
import phoenix1514 from 'phoenix-1.5.14';
import { Presence as Presence1616, Socket as Socket1616 } from 'phoenix-1.6.16';
import { Presence as Presence1721, Socket as Socket1721 } from 'phoenix-1.7.21';
import { Presence as Presence176, Socket as Socket176 } from 'phoenix-1.7.6';
import { Presence as PresenceLatest, Socket as SocketLatest } from 'phoenix-latest';
import { WebSocket } from 'ws';
import { eventually, within } from './testing.mjs';

const PATIENCE_MS = 20_000;
const HEARTBEAT_MS = 10_000; // a page's 30 s would outlive the tests, see end()
const EVENTS = ['collected-broadcast', 'rally-completed', 'shout', 'msg', 'ping'];

/** Version -> its Socket. 1.3 speaks V1, all others V2; binary since 1.5. 1.7.6 is the deployed one. */
export const PHOENIX = {
  '1.3.4': phoenix134.Socket,
  '1.4.17': phoenix1417.Socket,
  '1.5.14': phoenix1514.Socket,
  '1.6.16': Socket1616,
  '1.7.6': Socket176,
  '1.7.21': Socket1721,
  latest: SocketLatest,
};

/** Version -> its Presence; that of 1.3 is no class but two functions. */
export const PRESENCE = {
  '1.4.17': phoenix1417.Presence,
  '1.5.14': phoenix1514.Presence,
  '1.6.16': Presence1616,
  '1.7.6': Presence176,
  '1.7.21': Presence1721,
  latest: PresenceLatest,
};

export const SPEAKS_BINARY = Object.keys(PHOENIX).filter((version) => !/^1\.[34]\./.test(version));

/** The outcome of a phoenix.js push: {status, response}. */
export function outcome(push) {
  const statuses = ['ok', 'error', 'timeout'];
  return within(
    PATIENCE_MS,
    'the outcome of a push',
    new Promise((resolve) => {
      for (const status of statuses) push.receive(status, (response) => resolve({ status, response }));
    }),
  );
}

function sameJson(a, b) {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

export class PhoenixUser {
  static #all = new Set();

  opens = 0;
  closeCodes = [];
  joins = 0;
  events = [];

  /** `Socket` is one of PHOENIX; options are phoenix.js' own. */
  constructor(Socket, url, token, options = {}) {
    this.token = token;
    const params = options.authToken ? {} : { userToken: token };
    this.socket = new Socket(url, {
      params,
      transport: WebSocket,
      heartbeatIntervalMs: HEARTBEAT_MS,
      ...options,
    });
    this.socket.onOpen(() => this.opens++);
    this.socket.onClose((event) => this.closeCodes.push(event.code));
    PhoenixUser.#all.add(this);
  }

  /** Connects and joins as the real page does: the join waits in the client until the socket opens. */
  async enter(topic = 'notifications') {
    this.channel = this.channelOn(topic);
    this.socket.connect();
    const joined = this.channel.join();
    joined.receive('ok', () => this.joins++);
    return outcome(joined);
  }

  /** A channel object, not joined yet, whose events are kept. */
  channelOn(topic) {
    const channel = this.socket.channel(topic, {});
    for (const event of EVENTS) channel.on(event, (payload) => this.events.push([event, payload]));
    return channel;
  }

  push(event, payload) {
    return this.channel.push(event, payload);
  }

  sees(event, payload) {
    return eventually(`${event} ${JSON.stringify(payload)} arrives`, () =>
      this.events.some(([name, data]) => name === event && sameJson(data, payload)),
    );
  }

  count(event) {
    return this.events.filter(([name]) => name === event).length;
  }

  /** Connected and joined anew after `codes` were the reasons to lose the connection. */
  async isBack(codes) {
    await eventually(
      'the client has rejoined by itself',
      () => this.opens === 2 && this.joins === 2 && this.channel.state === 'joined',
      PATIENCE_MS,
    );
    assert.ok(codes.includes(this.closeCodes[0]), `closed with ${this.closeCodes}`);
    assert.deepEqual(await outcome(this.push('ping', { back: true })), {
      status: 'ok',
      response: { back: true },
    });
  }

  /**
   * Disconnects for good: 1.3 and 1.4 would leave timers behind that never end, and 1.5 forgets the
   * timer of its first heartbeat, which starts the next ones.
   */
  end() {
    const channels = this.socket.channels;
    this.socket.channels = [];
    this.socket.disconnect();
    clearInterval(this.socket.heartbeatTimer);
    this.socket.sendHeartbeat = () => {};
    this.socket.reconnectTimer.reset();
    for (const channel of channels) channel.rejoinTimer.reset();
    PhoenixUser.#all.delete(this);
  }

  static endAll() {
    for (const user of PhoenixUser.#all) user.end();
  }
}
