// SPDX-License-Identifier: MIT
/*
 * Settings that a program refuses to start with: it names the setting, and --check-config says the
 * same. (It used to know only what one value by itself tells, and passed the ones below.)
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '../support/proc.mjs';
import { TAKO_BIN } from '../support/stack.mjs';
import { table, test } from '../support/testing.mjs';

const ENV = {
  DATABASE_URL: 'postgres:///nowhere?host=/nonexistent',
  HOLOQUEST_API_TOKEN: 'dev-token',
  TAKO_HOST: '127.0.0.1',
};

const API_START = ['--listen', 'unix:/nonexistent/api.sock'];

table(
  'refused, and told by --check-config:',
  [
    ['tako-broker', 'TAKO_NODE', 'two words', []],
    ['tako-broker', 'TAKO_TRANSPORT', 'poll', []],
    ['tako-broker', 'TAKO_SOCKET_ORIGINS', 'https://fine.example,app.example/path', []],
    ['tako-api', 'TAKO_API_SOCKET_MODE', 'rw-rw----', API_START],
    ['tako-api', 'TAKO_TRUSTED_PROXIES', '10.0.0.0/8,proxy', API_START],
    ['tako-api', 'TAKO_PROFANITY_FILE', '/nonexistent/words', API_START],
  ],
  ([program, setting]) => `${program} ${setting}`,
  async ([program, setting, value, start]) => {
    const path = join(TAKO_BIN, program);
    const checked = await run(path, ['--check-config'], { env: { ...ENV, [setting]: value } });
    assert.equal(checked.code, 2, checked.stdout);
    assert.equal(checked.stdout, '');
    assert.match(checked.stderr, new RegExp(`${setting}: `));

    const started = await run(path, start, { env: { ...ENV, [setting]: value } });
    assert.equal(started.code, 1, started.stderr);
    assert.match(started.stderr, new RegExp(`${setting}: `));
  },
);

table(
  'fine for --check-config:',
  [['tako-broker'], ['tako-api'], ['takoctl']],
  ([program]) => program,
  async ([program]) => {
    const { code, stdout, stderr } = await run(join(TAKO_BIN, program), ['--check-config'], { env: ENV });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^DATABASE_URL=\(set\)$/m);
  },
);

test('tako-broker says what to do about an address that is not this machine', async () => {
  for (const host of ['192.0.2.1', 'a..b']) {
    const { code, stderr } = await run(join(TAKO_BIN, 'tako-broker'), [], { env: { ...ENV, TAKO_HOST: host } });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /TAKO_HOST=\S+ is no address of this machine/);
  }
});

/* It used to start, with room for a negative number of clients. */
test('tako-broker does not start where it may open too few files', async () => {
  const command = `ulimit -n 150; exec '${join(TAKO_BIN, 'tako-broker')}'`;
  const { code, stderr } = await run('bash', ['-c', command], { env: { ...process.env, ...ENV } });
  assert.equal(code, 1, stderr);
  assert.match(stderr, /limit of 150 open files .* raise it above 200/);
});

test('tako-api says what it misses when nothing tells it where to listen', async () => {
  const { code, stderr } = await run(join(TAKO_BIN, 'tako-api'), [], { env: ENV });
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^tako-api: nothing to listen on: .*TAKO_API_LISTEN/);
});
