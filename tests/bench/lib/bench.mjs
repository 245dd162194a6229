// SPDX-License-Identifier: MIT
/*
 * What a scenario works with: it starts programs through this object, which ends all of them
 * afterwards, and hands it what was found out, as a table and as checks that pass or fail.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { FcgiFloor, Floor, Loadgen } from './children.mjs';
import { Tako } from './tako.mjs';

export class Bench {
  #running = [];
  failures = 0;
  lines = []; // all that was said
  targets = []; // {figure, value, unit, bound, limit}

  async #keep(starting) {
    const program = await starting;
    this.#running.push(program);
    return program;
  }

  tako(options) {
    return this.#keep(Tako.start(options));
  }

  floor(options) {
    return this.#keep(Floor.start(options));
  }

  fcgiFloor(options) {
    return this.#keep(FcgiFloor.start(options));
  }

  loadgen(options) {
    return this.#keep(Loadgen.start(options));
  }

  /** Clients first, so that the servers have nothing left to do. */
  async stop() {
    while (this.#running.length > 0) await this.#running.pop().stop();
  }

  say(line) {
    this.lines.push(...line.split('\n'));
    console.log(line);
  }

  /** Something that must be so on any machine; if not, the benchmark fails. */
  check(what, isGood) {
    if (!isGood) this.failures++;
    this.say(`${isGood ? 'PASS' : 'FAIL'}  ${what}`);
  }

  /**
   * A figure and what it shall be: {most: limit} or {least: limit}. A missed target is reported, but
   * is no failure: it depends on the machine, and on what else that does.
   */
  target(figure, value, unit, { most, least }) {
    const bound = most === undefined ? 'least' : 'most';
    this.targets.push({ figure, value, unit, bound, limit: most ?? least });
  }

  /** Of a publish: every broadcast came to every member once and in order. */
  checkDeliveries(what, { missing, duplicates, out_of_order, strays }) {
    const bad = Object.entries({ missing, duplicates, out_of_order, strays })
      .filter(([, count]) => count !== 0)
      .map(([name, count]) => `${count} ${name.replaceAll('_', ' ')}`);
    this.check(`${what}: ${bad.join(', ') || 'each delivered once, in order'}`, bad.length === 0);
  }

  /** Rows of cells; the first row is the head, the first column is on the left. */
  table(rows) {
    const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
    const lines = rows.map((row) =>
      row
        .map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])))
        .join('  '),
    );
    lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
    this.say(`\n${lines.join('\n')}\n`);
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Polls until `probe` returns something truthy; false when it never did. */
export async function becomes(probe, timeout) {
  for (const deadline = Date.now() + timeout; ; ) {
    if (probe()) return true;
    if (Date.now() > deadline) return false;
    await delay(50);
  }
}
