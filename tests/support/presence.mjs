// SPDX-License-Identifier: MIT
/*
 * Presence as clients see it: the key of a user, the refs in a frame, and real pages, each with
 * `new Presence(channel)` of an npm phoenix and a diary of what it was told.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PHOENIX, PRESENCE, PhoenixUser, outcome } from './phoenix.mjs';

/** The name under which others know a user (common/tk_uuid.h). */
export function publicId(id) {
  const hash = createHash('sha256').update(`tako-public-id:${id.toLowerCase()}`).digest('base64url');
  return hash.slice(0, 22);
}

/** All refs of a state, or of one side of a diff. */
export function refsOf(side) {
  return Object.values(side).flatMap(({ metas }) => metas.map((meta) => meta.phx_ref));
}

/**
 * What a client knows after these frames: a set of refs. A frame that tells something twice, or of
 * a stranger, is an error (C108).
 */
export function replay(frames) {
  const known = new Set();
  for (const [, , , event, payload] of frames) {
    if (event === 'presence_state') {
      known.clear();
      for (const ref of refsOf(payload)) known.add(ref);
    } else if (event === 'presence_diff') {
      for (const ref of refsOf(payload.joins)) {
        assert.ok(!known.has(ref), `${ref} joined twice`);
        known.add(ref);
      }
      for (const ref of refsOf(payload.leaves)) assert.ok(known.delete(ref), `${ref} left as a stranger`);
    }
  }
  return known;
}

/** A page that lists who is there, and comes back by itself when it loses its connection. */
export class PresencePage extends PhoenixUser {
  diary = []; // 'join KEY' and 'leave KEY', when a user appears and disappears
  diffs = []; // payloads
  states = [];

  /** Connects and joins; `version` is one of PRESENCE. */
  static async open(url, token, topic, { version = 'latest', meta = {} } = {}) {
    const page = new PresencePage(PHOENIX[version], url, token);
    page.key = publicId(token);
    page.channel = page.socket.channel(topic, { meta });
    page.channel.on('presence_state', (state) => page.states.push(state));
    page.channel.on('presence_diff', (diff) => page.diffs.push(diff));
    page.presence = new PRESENCE[version](page.channel);
    page.presence.onJoin((key, current) => {
      if (!current) page.diary.push(`join ${key}`);
    });
    page.presence.onLeave((key, current) => {
      if (current.metas.length === 0) page.diary.push(`leave ${key}`);
    });
    page.socket.connect();
    const joined = page.channel.join();
    joined.receive('ok', () => page.joins++);
    assert.equal((await outcome(joined)).status, 'ok');
    return page;
  }

  get isJoined() {
    return this.channel.state === 'joined' && this.socket.isConnected();
  }

  keys() {
    return this.presence.list((key) => key).sort();
  }

  /** Every meta by key and ref, as one text: equal for pages that know the same. */
  view() {
    const metas = this.presence.list((key, { metas: all }) =>
      all.map((meta) => `${key} ${meta.phx_ref} ${JSON.stringify(meta)}`),
    );
    return metas.flat().sort().join('\n');
  }

  /** From here on `diary` and `diffs` tell what is new. */
  forget() {
    this.diary.length = this.diffs.length = this.states.length = 0;
  }

  /** The other's server is where this page goes when it has to connect again. */
  moveTo(url) {
    this.socket.endPoint = `${url}/websocket`;
  }
}
