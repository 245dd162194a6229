// SPDX-License-Identifier: MIT
/* Every number of the wire contracts is named by a test, and tests name none that is not there. */
import assert from 'node:assert/strict';
import { CONTRACTS, findMentions } from '../support/contract_numbers.mjs';
import { table, test } from '../support/testing.mjs';

const mentions = await findMentions();

for (const { document, letter, numbers } of CONTRACTS) {
  table(
    `${document}: each number has a test`,
    numbers,
    ([number, word]) => `${letter}${number}: ${word}`,
    ([number]) => assert.ok(mentions.has(`${letter}${number}`)),
  );

  test(`${document}: numbers are counted without a gap`, () => {
    assert.deepEqual(
      numbers.map(([number]) => number),
      numbers.map((_, i) => i + 1),
    );
  });

  test(`${document}: tests name only numbers that it has`, () => {
    const known = new Set(numbers.map(([number]) => `${letter}${number}`));
    const named = [...mentions.keys()].filter((number) => number.startsWith(letter));
    assert.deepEqual(named.filter((number) => !known.has(number)), []);
  });
}
