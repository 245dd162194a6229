// SPDX-License-Identifier: MIT
/* A Redis of a test's own, and a way to a Redis that can be cut or muted. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { run } from './proc.mjs';
import { after, eventually, within } from './testing.mjs';

/** A Redis on a unix socket (and TCP `port`), gone when the test file ends; `args` are its own. */
export async function startRedis({ port = 0, args = [], login = [] } = {}) {
  const dir = await mkdtemp('/tmp/tako-redis-');
  const socket = join(dir, 'redis.sock');
  const fixed = ['--bind', '127.0.0.1', '--port', String(port), '--unixsocket', socket, '--save', ''];
  const child = spawn('redis-server', [...fixed, ...args], { cwd: dir, stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  after(async () => {
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await within(10_000, 'the end of redis-server', exited);
    await rm(dir, { recursive: true, force: true });
  });
  const command = async (...words) => {
    const { code, stdout, stderr } = await run('redis-cli', ['-s', socket, ...login, ...words]);
    if (code !== 0) throw new Error(`redis-cli: ${stdout}${stderr}`);
    return stdout.trim();
  };
  await eventually('Redis answers', async () => (await command('PING')) === 'PONG');
  return { url: `unix://${socket}`, socket, port, command };
}

/** A TCP port in front of a Redis on a unix socket. */
export async function startWire(redisSocket) {
  const sockets = new Set();
  const wire = { isCut: false, isMuted: false };
  const server = net.createServer((client) => {
    if (wire.isCut) return client.destroy();
    const redis = net.connect(redisSocket);
    let isSubscribed = false;
    client.on('data', (data) => {
      isSubscribed ||= data.includes('SUBSCRIBE');
      redis.write(data);
    });
    redis.on('data', (data) => {
      if (!(wire.isMuted && isSubscribed)) client.write(data);
    });
    for (const [from, to] of [[client, redis], [redis, client]]) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => server.close());
  return {
    url: `redis://127.0.0.1:${server.address().port}`,
    /** All connections break, and no new one gets through. */
    cut() {
      wire.isCut = true;
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    /** Connections with subscriptions stay, but bring nothing any more. */
    mute() {
      wire.isMuted = true;
    },
    mend() {
      wire.isCut = wire.isMuted = false;
    },
  };
}
