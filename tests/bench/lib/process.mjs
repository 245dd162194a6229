// SPDX-License-Identifier: MIT
/* What a process, or the machine, costs, read from /proc: memory in bytes, CPU time in ns. */
import { readdirSync, readFileSync } from 'node:fs';

/** {rss, anon}: resident memory, and the part of it that is not mapped from files. */
export function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)[1]) * 1024;
  return { rss: bytes('VmRSS'), anon: bytes('RssAnon') };
}

/** The most resident memory that the process ever had. */
export function peakMemoryOf(pid) {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

/** Connects that the machine dropped because a listening socket's queue was full. */
export function listenOverflows() {
  const [names, values] = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('ListenOverflows')]);
}

/** User and system time of all threads so far. */
export function cpuOf(pid) {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum + cpuOfThread(pid, tid), 0);
}

// schedstat counts nanoseconds; stat, for kernels without it, hundredths of a second.
function cpuOfThread(pid, tid) {
  const dir = `/proc/${pid}/task/${tid}`;
  try {
    return Number(readFileSync(`${dir}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    const fields = readFileSync(`${dir}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 1e7;
  }
}

/** Of several processes together. */
export function cpuOfAll(pids) {
  return pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
}

/** How many files, sockets included, the process has open. */
export function openFilesOf(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

const NS_PER_TICK = 1e7;

/** CPU time that anybody has used since the machine started; `stolen` went to other machines. */
export function cpuOfMachine() {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/ +/).slice(1).map(Number);
  const [user, nice, system, , , irq, softirq, stolen] = fields;
  return {
    used: (user + nice + system + irq + softirq) * NS_PER_TICK,
    stolen: stolen * NS_PER_TICK,
  };
}

/** CPU time of this process and of all its descendants that have ended. */
export function cpuOfOwn() {
  const fields = readFileSync('/proc/self/stat', 'utf8').replace(/^.*\) /s, '').split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * NS_PER_TICK;
}

/** The kernel's memory, for sockets and files above all: {slab, pages of socket buffers}. */
export function kernelMemory() {
  const slab = /^Slab:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1] * 1024;
  const pages = /^TCP: .* mem (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))[1];
  return { slab, buffers: pages * 4096 };
}

/** Memory of processes that share some of it: each page counts once, divided by its users. */
export function sharedMemoryOf(pids) {
  return pids.reduce((sum, pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return sum + Number(/^Pss:\s+(\d+) kB/m.exec(text)[1]) * 1024;
  }, 0);
}
