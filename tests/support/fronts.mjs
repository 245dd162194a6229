// SPDX-License-Identifier: MIT
/*
 * The web servers that tako is made for, each started from the configuration that deploy/ ships: only
 * ports, paths and users are other ones. Everything is private and gone when the test file ends.
 *
 * Apache does not run as root, so its children (and a tako-api that they start) get a user without
 * rights; everything they need is copied to where that user may go.
 */
import { spawn } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collect, freePort, stopProcess } from './proc.mjs';
import { TAKO_BIN } from './stack.mjs';
import { after, eventually } from './testing.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SBIN = '/usr/local/sbin:/usr/sbin:/sbin';
const APACHE_MODULES = '/usr/lib/apache2/modules';
const START_MS = 20_000;
const STOP_MS = 20_000;
const IS_ROOT = process.getuid() === 0;

/** A directory that other users may enter, with the program, its script and its word list. */
export async function openKitchen(stack, settings = {}) {
  const dir = await mkdtemp('/tmp/tako-fronts-');
  const kitchen = new Kitchen(dir, stack, settings);
  after(() => kitchen.stop());
  await kitchen.fill();
  return kitchen;
}

class Kitchen {
  #children = [];

  constructor(dir, stack, settings) {
    this.dir = dir;
    this.stack = stack;
    this.settings = settings;
    process.once('exit', () => this.#children.forEach(({ child }) => child.kill('SIGKILL')));
  }

  path(name) {
    return join(this.dir, name);
  }

  async fill() {
    await chmod(this.dir, 0o777);
    await copyFile(join(TAKO_BIN, 'tako-api'), this.path('tako-api'));
    await chmod(this.path('tako-api'), 0o755);
    await copyFile(join(ROOT, 'deploy/tako-api.cgi'), this.path('tako-api.cgi'));
    await chmod(this.path('tako-api.cgi'), 0o755);
    await copyFile(join(ROOT, 'common/accounts/profanity.txt'), this.path('profanity.txt'));
    await cp(join(ROOT, 'deploy/errors'), this.path('errors'), { recursive: true });
    const { DATABASE_URL, REDIS_URL, HOLOQUEST_API_TOKEN, TAKO_ADMIN_TOKEN } = this.stack.operatorEnv;
    this.apiEnv = {
      DATABASE_URL,
      REDIS_URL,
      HOLOQUEST_API_TOKEN,
      TAKO_ADMIN_TOKEN,
      TAKO_PROFANITY_FILE: this.path('profanity.txt'),
      TAKO_API_SOCKET_MODE: '0666',
      TAKO_RATE_POST: '0',
      TAKO_RATE_OTHER: '0',
      ...this.settings,
    };
    const lines = Object.entries(this.apiEnv).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(this.path('tako.env'), `# as systemd reads it\n\n${lines.join('')}`, { mode: 0o644 });
  }

  /** A shipped configuration with the paths and ports of this test. */
  async configuration(file, { port, socket = this.path('api.sock') }) {
    const text = await readFile(join(ROOT, 'deploy', file), 'utf8');
    const replacements = {
      '/run/tako-api/api.sock': socket,
      '/run/lighttpd/tako-api.sock': this.path('spawned.sock'),
      '/usr/local/share/tako/errors': this.path('errors'),
      '/usr/local/share/tako/tako-api.cgi': this.path('tako-api.cgi'),
      '"/usr/local/share/tako"': `"${this.dir}"`,
      '127.0.0.1:4000': `127.0.0.1:${this.stack.brokerPorts[0]}`,
      '"port" => 4000': `"port" => ${this.stack.brokerPorts[0]}`,
      '*:80': `127.0.0.1:${port}`,
      'listen 80;': `listen 127.0.0.1:${port};`,
      'listen [::]:80;': '',
      'server.port          = 80': `server.port = ${port}\nserver.bind = "127.0.0.1"`,
      '/var/log/lighttpd/error.log': this.path('lighttpd.log'),
      '/var/www/html': this.path('errors'),
    };
    let result = text.replace(/^server\.(username|groupname) .*$/gm, '');
    for (const [shipped, ours] of Object.entries(replacements)) {
      result = result.replaceAll(shipped, ours);
    }
    return result;
  }

  /** Starts a program; it has `name`.log and is stopped with the kitchen, or by stop() of the result. */
  async launch(name, file, args, { env = {}, isReady, stdio }) {
    const child = spawn(file, args, {
      env: { PATH: `${process.env.PATH}:${SBIN}`, ...sanitizers(), ...env },
      cwd: this.dir,
      stdio: stdio ?? ['ignore', 'pipe', 'pipe'],
    });
    const output = [child.stdout, child.stderr].filter(Boolean).map(collect);
    let failure = null;
    child.on('error', (error) => (failure = error));
    const running = {
      child,
      log: () => output.map((stream) => stream.text()).join(''),
      stop: () => stopProcess(child, STOP_MS, name),
    };
    this.#children.push(running);
    await eventually(`${name} is ready`, async () => {
      if (failure || child.exitCode !== null) throw failure ?? new Error(`${name} ended: ${running.log()}`);
      return isReady();
    }, START_MS);
    return running;
  }

  /** tako-api listening by itself. */
  startApi({ env = {}, socket = this.path('api.sock') } = {}) {
    return this.launch('tako-api', this.path('tako-api'), ['--listen', `unix:${socket}`], {
      env: { ...this.apiEnv, ...env },
      isReady: () => existsSync(socket),
    });
  }

  /** Under spawn-fcgi, which hands over the listening socket as descriptor 0. */
  startApiWithSpawnFcgi(socket) {
    const args = ['-n', '-s', socket, '-M', '0666', '--', this.path('tako-api')];
    return this.launch('spawn-fcgi', 'spawn-fcgi', args, {
      env: this.apiEnv,
      isReady: () => existsSync(socket),
    });
  }

  /** As systemd's socket activation does it: descriptor 3, LISTEN_FDS and LISTEN_PID. */
  startApiActivated(socket) {
    const script = `
      $^F = 16; umask 0;
      my $socket = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 64) or die "$!";
      POSIX::dup2(fileno($socket), 3) // die "$!";
      $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1;
      exec $ARGV[1] or die "$!";`;
    const args = ['-MPOSIX', '-MIO::Socket::UNIX', '-e', script, socket, this.path('tako-api')];
    return this.launch('activated', 'perl', args, {
      // The unit sets an address as well; the socket handed over goes before it.
      env: { ...this.apiEnv, TAKO_API_LISTEN: `unix:${this.path('not-this.sock')}` },
      isReady: () => existsSync(socket),
    });
  }

  async startLighttpd(file) {
    const port = await freePort();
    const config = this.path(`${file}.test`);
    await writeFile(config, await this.configuration(file, { port }));
    return this.#serve('lighttpd', port, 'lighttpd', ['-D', '-f', config], {
      env: this.scriptEnv,
    });
  }

  async startNginx({ socket } = {}) {
    const port = await freePort();
    const prefix = await mkdtemp(this.path('nginx-'));
    await copyFile('/etc/nginx/fastcgi_params', join(prefix, 'fastcgi_params'));
    await writeFile(join(prefix, 'tako.conf'), await this.configuration('nginx.conf', { port, socket }));
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((what) => `${what}_temp_path ${prefix}/${what};`)
      .join(' ');
    await writeFile(
      join(prefix, 'nginx.conf'),
      `daemon off; ${IS_ROOT ? 'user root;' : ''} worker_processes 1; pid ${prefix}/pid;
       error_log ${prefix}/error.log; events { worker_connections 512; }
       http { access_log off; ${temp} include tako.conf; }`,
    );
    return this.#serve('nginx', port, 'nginx', ['-p', prefix, '-c', join(prefix, 'nginx.conf')]);
  }

  /** `modules`: what distinguishes the variants; the rest is what the file's first lines ask for. */
  async startApache(file, modules) {
    const port = await freePort();
    const root = await mkdtemp(this.path('apache-'));
    await chmod(root, 0o755);
    await writeFile(join(root, 'tako.conf'), await this.configuration(file, { port }));
    const all = [
      'mpm_event', 'authn_core', 'env', 'authz_core', 'authz_host', 'alias', 'mime', 'headers', 'proxy',
      'proxy_http', 'proxy_wstunnel', 'proxy_balancer', 'lbmethod_byrequests', 'slotmem_shm', ...modules,
    ];
    const builtIn = new Set(['unixd', 'log_config', 'so', 'version', 'watchdog']);
    const load = all
      .filter((name) => !builtIn.has(name))
      .map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`);
    await writeFile(
      join(root, 'httpd.conf'),
      [
        ...load, `ServerRoot ${root}`, `PidFile ${root}/pid`, `ErrorLog ${root}/error.log`,
        `DefaultRuntimeDir ${root}`, `Mutex file:${root}`, `Listen 127.0.0.1:${port}`, 'TypesConfig /etc/mime.types',
        'ServerName localhost', IS_ROOT ? 'User www-data\nGroup www-data' : '',
        modules.includes('cgid') ? `ScriptSock ${root}/cgid` : '',
        modules.includes('fcgid')
          ? `FcgidIPCDir ${root}/fcgid\nFcgidProcessTableFile ${root}/fcgid_shm\nFcgidInitialEnv TAKO_ENV_FILE ${this.path('tako.env')}\nFcgidInitialEnv TAKO_API ${this.path('tako-api')}`
          : '',
        modules.includes('cgid') ? `PassEnv TAKO_ENV_FILE TAKO_API` : '',
        'Include tako.conf', '',
      ].join('\n'),
    );
    if (modules.includes('fcgid')) await mkdir(join(root, 'fcgid'), { mode: 0o777 }).then(() => chmod(join(root, 'fcgid'), 0o777));
    return this.#serve('apache', port, 'apache2', ['-DFOREGROUND', '-f', join(root, 'httpd.conf')], {
      env: this.scriptEnv,
      logFile: join(root, 'error.log'),
    });
  }

  /** Where tako-api.cgi finds things that an installation has in their places. */
  get scriptEnv() {
    return { TAKO_ENV_FILE: this.path('tako.env'), TAKO_API: this.path('tako-api') };
  }

  async #serve(name, port, file, args, { env = {}, logFile } = {}) {
    try {
      const server = await this.launch(name, file, args, { env, isReady: () => accepts(port) });
      return { ...server, url: `http://127.0.0.1:${port}` };
    } catch (error) {
      const log = logFile ? await readFile(logFile, 'utf8').catch(() => '') : '';
      throw new Error(`${error.message}\n${error.cause ?? ''}\n${log}`);
    }
  }

  async stop() {
    while (this.#children.length > 0) await this.#children.pop().stop();
    if (!process.env.TAKO_KEEP) await rm(this.dir, { recursive: true, force: true });
  }
}

/** Reports of a sanitizer build go where `make asan` looks for them. */
function sanitizers() {
  const names = ['ASAN_OPTIONS', 'UBSAN_OPTIONS'].filter((name) => process.env[name]);
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true) ?? socket.destroy());
    socket.on('error', () => resolve(false));
  });
}
