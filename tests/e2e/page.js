// SPDX-License-Identifier: MIT
/*
 * What the deployed page does with tako, and nothing else: registers once and remembers the id, opens
 * a socket with it, joins `notifications`, answers pings. The test looks at window.rally.
 */
import { Socket } from './phoenix.mjs';

const query = new URLSearchParams(location.search);
const tako = query.get('tako');
const token = query.get('token');
const nickname = query.get('nickname');

const rally = {
  userId: null,
  opens: 0,
  joins: 0,
  closes: [],
  collected: [],
  messages: [],
  errors: [],

  collect() {
    channel.push('collected', { nickname });
  },

  async call(method, path, body) {
    const response = await fetch(`${tako}/api/json${path}`, {
      method,
      mode: 'cors',
      headers: {
        Accept: 'application/vnd.api+json',
        'Content-Type': 'application/vnd.api+json',
        Authorization: `Bearer ${token}`,
      },
      body,
    });
    return response.json();
  },

  rename(name) {
    const body = `{"data":{"type":"user","attributes":{"nickname":"${name}"}}}`;
    return rally.call('PATCH', `/accounts/users/${rally.userId}`, body);
  },
};

let channel;

async function start() {
  const body = `{"data":{"type":"user","attributes":{"nickname":"${nickname}"}}}`;
  rally.userId = (await rally.call('POST', '/accounts/users/', body)).data.id;

  const socket = new Socket(`${tako.replace(/^http/, 'ws')}/socket`, {
    params: { userToken: rally.userId },
  });
  socket.onOpen(() => rally.opens++);
  socket.onClose((event) => rally.closes.push(event.code));
  socket.connect();

  channel = socket.channel('notifications', {});
  channel.on('collected-broadcast', (payload) => rally.collected.push(payload.nickname));
  channel.on('msg', (payload) => rally.messages.push(payload.message));
  channel.on('ping', () => channel.push('pong', { body: 'pong' }));
  channel.join().receive('ok', () => rally.joins++);
}

window.rally = rally;
start().catch((error) => rally.errors.push(String(error)));
