// SPDX-License-Identifier: MIT
/* Every number of the wire contracts is named by a test, and tests name none that is not there. */
import assert from 'node:assert/strict';
import { CONTRACTS, findMentions } from '../support/contract_numbers.mjs';
import { table, test } from '../support/testing.mjs';

const mentions = await findMentions();

const inRange = ([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

for (const { document, letter, numbers, without } of CONTRACTS) {
  const all = [...numbers.map(([number]) => number), ...without.flatMap(inRange)].sort((a, b) => a - b);

  table(
    `${document}: each number has a test`,
    numbers,
    ([number, word]) => `${letter}${number}: ${word}`,
    ([number]) => assert.ok(mentions.has(`${letter}${number}`)),
  );

  test(`${document}: numbers are counted without a gap`, () => {
    assert.deepEqual(
      all,
      all.map((_, i) => i + 1),
    );
  });

  test(`${document}: tests name only numbers that it has`, () => {
    const known = new Set(all.map((number) => `${letter}${number}`));
    const named = [...mentions.keys()].filter((number) => number.startsWith(letter));
    assert.deepEqual(named.filter((number) => !known.has(number)), []);
  });
}
