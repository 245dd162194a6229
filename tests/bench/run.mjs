#!/usr/bin/env node
// SPDX-License-Identifier: MIT
/*
 * tests/bench/run.mjs SCENARIO...: runs scenarios of tests/bench/scenarios, one after the other
 * (`make bench`). Fails when a check of one failed, or when one could not be carried out; a missed
 * target is no failure.
 *
 *   BENCH_RESULTS   a file that the results go to (lib/results.mjs)
 */
import { readdirSync } from 'node:fs';
import { Bench } from './lib/bench.mjs';
import { cpuOfMachine, cpuOfOwn } from './lib/process.mjs';
import { machine, targetTable, writeResults } from './lib/results.mjs';

const SCENARIOS = new URL('scenarios/', import.meta.url);
const known = readdirSync(SCENARIOS).map((file) => file.replace(/\.mjs$/, ''));
const wanted = process.argv.slice(2);

if (wanted.length === 0 || wanted.some((name) => !known.includes(name))) {
  console.error(`usage: tests/bench/run.mjs SCENARIO...\nscenarios: ${known.join(', ')}`);
  process.exit(2);
}

/** How many cores others used while work went on; only what has ended counts as our own. */
async function watchOthers(work) {
  const [start, machineBefore, ownBefore] = [performance.now(), cpuOfMachine(), cpuOfOwn()];
  await work();
  const ns = (performance.now() - start) * 1e6;
  const { used, stolen } = cpuOfMachine();
  const others = used - machineBefore.used - (cpuOfOwn() - ownBefore);
  return {
    seconds: ns / 1e9,
    othersCores: Math.max(0, others / ns),
    stolenCores: (stolen - machineBefore.stolen) / ns,
  };
}

async function carryOut(name, scenario, bench) {
  const onSignal = async () => {
    await bench.stop();
    process.exit(130);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    await scenario.run(bench);
  } catch (error) {
    bench.check(`${name} could not be carried out: ${error.stack}`, false);
  } finally {
    await bench.stop();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

async function runScenario(name) {
  const scenario = await import(new URL(`${name}.mjs`, SCENARIOS));
  const bench = new Bench();
  console.log(`== ${name}: ${scenario.title}`);
  const load = await watchOthers(() => carryOut(name, scenario, bench));
  console.log(
    `(${Math.round(load.seconds)} s; other programs used ${load.othersCores.toFixed(2)} cores)\n`,
  );
  const { lines, targets, failures } = bench;
  return { name, title: scenario.title, lines, targets, failures, ...load };
}

console.log(`${machine()}\n`);
const results = [];
for (const name of wanted) results.push(await runScenario(name));
console.log(targetTable(results));
if (process.env.BENCH_RESULTS) {
  writeResults(process.env.BENCH_RESULTS, results);
  console.log(`\nwritten to ${process.env.BENCH_RESULTS}`);
}
const failures = results.reduce((sum, result) => sum + result.failures, 0);
console.log(failures === 0 ? '\nall checks passed' : `\n${failures} checks FAILED`);
process.exitCode = failures === 0 ? 0 : 1;
