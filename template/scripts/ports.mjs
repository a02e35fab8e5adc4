// Ports of this machine: whether one is free, and which process has it otherwise.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';

const LISTENING = '0A'; // in /proc/net/tcp

/** Throws if 127.0.0.1 has no such port to listen on, naming the process that has it and the `option`. */
export async function requireFree(port, option) {
  const server = net.createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw new Error(`${option} ${port}: ${error.message}`);
    const holder = await holderOf(port).catch(() => undefined);
    const by = holder ? ` by ${holder.name} (process ${holder.pid})` : '';
    throw new Error(`port ${port} is in use${by}; stop it, or choose another port with ${option}`);
  }
  server.close();
  await once(server, 'close');
}

// Resolves to the name and the id of a process that listens on `port`, where the system tells.
async function holderOf(port) {
  if (process.platform === 'linux') return holderInProc(port);
  const arguments_ = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'];
  const { stdout } = await promisify(execFile)('lsof', arguments_);
  const [, pid, name] = stdout.match(/^p(\d+)\nc(.*)$/m) ?? [];
  return pid && { pid, name };
}

async function holderInProc(port) {
  const sockets = await socketsOn(port);
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const folder = `/proc/${pid}/fd`;
    // Those of other users cannot be read, and any may have ended.
    const files = await readdir(folder).catch(() => []);
    const links = files.map((file) => readlink(`${folder}/${file}`).catch(() => ''));
    if (!(await Promise.all(links)).some((link) => sockets.has(link))) continue;
    const [program] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    return { pid, name: path.basename(program) };
  }
  return undefined;
}

async function socketsOn(port) {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const sockets = new Set();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const rows = (await readFile(table, 'utf8').catch(() => '')).split('\n');
    for (const row of rows.map((line) => line.trim().split(/\s+/))) {
      const [, local, , state, , , , , , inode] = row;
      if (local?.endsWith(suffix) && state === LISTENING) sockets.add(`socket:[${inode}]`);
    }
  }
  return sockets;
}
