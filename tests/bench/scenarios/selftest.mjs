// SPDX-License-Identifier: MIT
/*
 * Does the load generator notice? Servers with one defect each: member 1 of 50 is treated badly at
 * broadcast 3 of 20, and precisely that must be reported.
 */
export const title = 'the load generator against servers with a defect';

const CLIENTS = 50;
const COUNT = 20;

const GOOD = { missing: 0, duplicates: 0, out_of_order: 0, strays: 0, errors: 0 };
const CASES = [
  { spoil: undefined, expected: GOOD },
  { spoil: 'drop', expected: { ...GOOD, missing: 1 } },
  { spoil: 'duplicate', expected: { ...GOOD, duplicates: 1 } },
  { spoil: 'swap', expected: { ...GOOD, out_of_order: 1 } },
  // Of the one who was cut off, broadcasts 3 to 20.
  { spoil: 'close', expected: { ...GOOD, missing: COUNT - 2, errors: 1 } },
];

export async function run(bench) {
  for (const { spoil, expected } of CASES) {
    const { url } = await bench.floor({ spoil });
    const loadgen = await bench.loadgen({ url, clients: CLIENTS });
    await loadgen.join();
    // No window, so that a lost client keeps nothing from the others.
    const published = await loadgen.publish({ count: COUNT, window: 0, patience_ms: 500 });
    const found = { ...published, ...(await loadgen.status()) };
    const reported = Object.keys(expected).map((name) => `${name}=${found[name]}`);
    const isRight = Object.entries(expected).every(([name, count]) => found[name] === count);
    bench.check(`${spoil ?? 'no defect'}: ${reported.join(' ')}`, isRight);
    await bench.stop();
  }
}
