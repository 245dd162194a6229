// SPDX-License-Identifier: MIT
/*
 * `make install`: what it puts in place finds its own files there, and every file that a sample
 * configuration or a systemd unit names has been installed.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../support/proc.mjs';
import { TAKO_BIN } from '../support/stack.mjs';
import { after, test } from '../support/testing.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PREFIX = '/usr/local';

const destination = await mkdtemp(join(tmpdir(), 'tako-install-'));
after(() => rm(destination, { recursive: true, force: true }));
const installed = (path) => join(destination, PREFIX, path);

const parameters = [`BUILD=${dirname(TAKO_BIN)}`, `PREFIX=${PREFIX}`, `DESTDIR=${destination}`];
// What another make (make asan) has in its environment would choose another build.
await succeeds('make', ['-C', ROOT, 'install', ...parameters], { ...process.env, MAKEFLAGS: '', SAN: '' });

async function succeeds(file, args, env) {
  const { code, stdout, stderr } = await run(file, args, { env });
  assert.equal(code, 0, stderr);
  return stdout;
}

for (const program of ['tako-api', 'tako-broker', 'takoctl']) {
  test(`${program} runs where it was installed`, async () => {
    const version = await succeeds(installed(`bin/${program}`), ['--version']);
    assert.match(version, new RegExp(`^${program} \\d+\\.\\d+\\.\\d+$`, 'm'));
  });
}

test('tako-api finds its word list', async () => {
  const env = { DATABASE_URL: 'postgres:///nowhere?host=/nonexistent', HOLOQUEST_API_TOKEN: 'dev-token' };
  await stat(installed('share/tako/profanity.txt'));
  await succeeds(installed('bin/tako-api'), ['--check-config'], env);
});

test('all migrations are there', async () => {
  const migrations = await readdir(installed('share/tako/sql/migrations'));
  assert.deepEqual(migrations.sort(), (await readdir(join(ROOT, 'sql/migrations'))).sort());
});

test('what samples and units name is there', async () => {
  const files = [installed('share/tako/tako-api.cgi')];
  for (const folder of ['share/tako/examples', 'lib/systemd/system']) {
    for (const name of await readdir(installed(folder))) files.push(join(installed(folder), name));
  }
  assert.ok(files.length > 8, `${files.length} files`);
  for (const file of files) {
    const text = await readFile(file, 'utf8');
    for (const [path] of text.matchAll(/\/usr\/local\/[\w./-]+/g)) {
      await stat(join(destination, path)).catch(() => assert.fail(`${file} names ${path}`));
    }
  }
});
