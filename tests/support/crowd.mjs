// SPDX-License-Identifier: MIT
/*
 * Clients on every worker of every broker. The kernel decides which worker takes a connection, so
 * the crowd grows until `takoctl nodes` shows that each has some.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { PhxClient } from './phx.mjs';
import { eventually } from './testing.mjs';

const PER_BROKER_AT_FIRST = 6;
const PER_BROKER_AT_MOST = 60;

export class Crowd {
  #stack;
  #others = new Set();
  members = []; // all have joined `notifications`; those of the first broker come first

  constructor(stack) {
    this.#stack = stack;
  }

  /** Connects and joins until every worker serves somebody. Nobody else may be connected. */
  async gather() {
    const perBroker = this.#stack.brokerUrls.map(() => []);
    let size = PER_BROKER_AT_FIRST;
    for (;;) {
      for (const [index, url] of this.#stack.brokerUrls.entries()) {
        while (perBroker[index].length < size) perBroker[index].push(await this.member(url));
      }
      const total = size * perBroker.length;
      const nodes = await eventually(
        'the entries of the nodes count all connections',
        async () => {
          const entries = await this.#stack.nodes();
          const counted = entries.reduce((sum, node) => sum + node.connections, 0);
          return counted === total && entries;
        },
        15_000,
      );
      if (nodes.every((node) => node.connections > 0)) break;
      assert.ok(size < PER_BROKER_AT_MOST, 'some worker never gets a connection');
      size += PER_BROKER_AT_FIRST;
    }
    this.members = perBroker.flat();
  }

  /** One more client of its own user that has joined `notifications`; not one of `members`. */
  async member(url) {
    const token = await this.#stack.createUser();
    const client = await PhxClient.open(url, { token });
    this.#others.add(client);
    client.token = token;
    client.brokerUrl = url;
    await client.join('notifications');
    return client;
  }

  /** Many connections of one user, on all brokers. */
  async connectEverywhere(token, perBroker = 4) {
    const connections = [];
    for (const url of this.#stack.brokerUrls) {
      for (let i = 0; i < perBroker; i++) {
        const client = await PhxClient.open(url, { token });
        this.#others.add(client);
        connections.push(client);
      }
    }
    return connections;
  }

  /** Nothing has come to anybody since the last look. */
  assertQuiet() {
    return this.#assertReceived([]);
  }

  /** This frame has come to everybody since the last look, once, and nothing else. */
  assertAllReceive(frame) {
    return this.#assertReceived([frame]);
  }

  /** What could still be on its way arrives before the mark that is published behind it. */
  async #assertReceived(expected) {
    const mark = randomUUID();
    const event = [null, null, 'notifications', 'mark', { mark }];
    await this.#stack.publish('tako:topic:notifications', event);
    const received = await Promise.all(
      this.members.map(async (member) => {
        const before = [];
        await member.until((frame) => frame[4]?.mark === mark || !before.push(frame));
        return before;
      }),
    );
    for (const frames of received) assert.deepEqual(frames, expected);
  }

  dismiss() {
    for (const client of this.#others) client.terminate();
  }
}
