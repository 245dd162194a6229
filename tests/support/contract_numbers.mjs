// SPDX-License-Identifier: MIT
/*
 * The numbers of the wire contracts, and where the tests name them. contract_numbers.test.mjs insists
 * that none is missing; run by itself, this prints the table number -> tests in Markdown:
 *
 *   node tests/support/contract_numbers.mjs
 *
 * A mention counts in the code of an integration or e2e test (titles, rows, messages of assertions)
 * and in the comment above a unit test; the comment at the top of a file does not.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const TESTS = fileURLToPath(new URL('../', import.meta.url));
const SOURCES = ['integration', 'e2e', 'support', 'unit'];

/** http-api.md. */
const HTTP = [
  [1, 'JSON in every answer'], [2, 'CORS headers on every answer'], [3, 'PATCH without data.id'],
  [4, 'GET with a content type'], [5, 'leaderboard for a JSON:API client'], [6, 'pasted bodies'],
  [7, 'errors is an array'], [8, 'order of checks'], [9, 'path matching'], [10, 'request id'],
  [11, 'common headers'], [12, 'FastCGI variables and bodies'], [13, 'front-server traps'],
  [14, 'links and Host'], [15, 'bearer'], [16, 'what is no bearer'], [17, 'the challenge'],
  [18, 'configuration of tokens'], [19, 'preflight'], [20, 'plain OPTIONS'], [21, 'origins'],
  [22, 'unknown path'], [23, 'wrong method'], [24, 'HEAD'], [25, 'no method override'],
  [26, 'Content-Type'], [27, 'Accept'], [28, 'types of answers'], [29, 'size of a body'],
  [30, 'JSON syntax'], [31, 'what json-c lets pass'], [32, 'depth and duplicate names'],
  [33, 'no data'], [34, 'data of another kind'], [35, 'wrong type'], [36, 'no type'],
  [37, 'attributes of another kind'], [38, 'unknown attributes'], [39, 'client-made ids'],
  [40, 'members to ignore'], [41, 'relationships'], [42, 'a relationship'], [43, 'pointers'],
  [44, 'types of attributes'], [45, 'trimming'], [46, 'length'], [47, 'bytes and marks'],
  [48, 'empty is null'], [49, 'names may repeat'], [50, 'forbidden characters'], [51, 'word list'],
  [52, 'stamps'], [53, 'rules for what is sent'], [54, 'all violations'], [55, 'output encoding'],
  [56, 'the table'], [57, 'legacy rows'], [58, 'no normalisation'], [59, 'no cached state'],
  [60, 'create'], [61, 'Location and ETag'], [62, 'minimal registration'], [63, 'id and time stamps'],
  [64, 'stamps on create'], [65, 'a new user every time'], [66, 'replay'], [67, 'update'],
  [68, 'only what was sent'], [69, 'no-op'], [70, 'unknown id'], [71, 'malformed id'],
  [72, 'one atomic statement'], [73, 'identity conflicts'], [74, 'body errors on update'],
  [75, 'one user'], [76, 'the list'], [77, 'sparse fieldsets'], [78, 'sort'], [79, 'filter'],
  [80, 'page'], [81, 'include'], [82, 'unknown parameters'], [83, 'query decoding'],
  [84, 'shape of the leaderboard'], [85, 'content and order'], [86, 'limit'], [87, 'its ETag'],
  [88, 'its methods'], [89, 'error objects'], [90, '400, never 422'], [91, 'constant 5xx'],
  [92, 'database down'], [93, 'database error classes'], [94, 'limits of the front server'],
  [95, 'ids are credentials'], [96, 'the shared token is public'], [97, 'scores'],
  [98, 'rate limits'], [99, 'no secrets in logs'], [100, 'hostile names'],
  [101, 'optimistic concurrency'], [102, 'helpful headers'], [103, 'Idempotency-Key'],
  [104, 'one error dialect'], [105, 'self-description'], [106, 'health'],
  [107, 'leaderboard as JSON:API'],
];

/** One entry per contract: the letter of its numbers, and each number with a word about it. */
export const CONTRACTS = [{ document: 'http-api.md', letter: 'H', numbers: HTTP }];

/** All mentions, as a map from number ("H45") to [{file, test}]. */
export async function findMentions() {
  const mentions = new Map();
  for (const file of await sourceFiles()) {
    const text = await readFile(join(TESTS, file), 'utf8');
    const found = file.endsWith('.c') ? mentionsInC(text) : mentionsInJs(text);
    for (const { number, test } of found) {
      const known = mentions.get(number) ?? [];
      if (!known.some((each) => each.file === file && each.test === test)) known.push({ file, test });
      mentions.set(number, known);
    }
  }
  return mentions;
}

async function sourceFiles() {
  const lists = SOURCES.map(async (folder) => {
    const names = await readdir(join(TESTS, folder), { recursive: true });
    return names.filter(isTestSource).map((name) => join(folder, name));
  });
  return (await Promise.all(lists)).flat().sort();
}

const isTestSource = (name) => /(^contract|\.test)\.mjs$|(^|\/)test_\w+\.c$/.test(name);
const numbersIn = (line) => line.match(/\b[A-Z]\d{1,3}\b/g) ?? [];
const isComment = (line) => /^\s*(\/\/|\/\*|\*)/.test(line);

/** A mention belongs to its row of tests/support/contract.mjs, or else to the test it stands in. */
function mentionsInJs(text) {
  const lines = text.split('\n');
  let title = 'rows';
  return lines.flatMap((line, i) => {
    const opening = /^(?:test|table)\((.*)/.exec(line);
    if (opening) title = quotedIn(opening[1] || lines[i + 1]) ?? title;
    if (isComment(line)) return [];
    const row = /\['[A-Z]\d+', '([^']*)'/.exec(line);
    return numbersIn(line).map((number) => ({ number, test: row ? row[1] : title }));
  });
}

const quotedIn = (text) => /(['"`])(.*?)\1/.exec(text)?.[2];

/** A comment belongs to the test below it, code to the test it stands in. */
function mentionsInC(text) {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith('#include'));
  const testIn = (line) => /^static void (\w+)\(void \*\*state\)/.exec(line)?.[1];
  let above = '';
  return lines.flatMap((line, i) => {
    above = testIn(line) ?? above;
    if (i < start) return [];
    const isAboveTest = /^(\/\*| \*)/.test(line);
    const test = isAboveTest ? lines.slice(i).map(testIn).find(Boolean) : above;
    return numbersIn(line).map((number) => ({ number, test: test ?? above }));
  });
}

async function printTable() {
  const mentions = await findMentions();
  for (const { document, letter, numbers } of CONTRACTS) {
    console.log(`\n| ${document} | | tests |\n|---|---|---|`);
    for (const [number, word] of numbers) {
      const found = mentions.get(`${letter}${number}`) ?? [];
      const cells = found.map(({ file, test }) => `${file}: ${test.replaceAll('|', '\\|')}`);
      console.log(`| ${letter}${number} | ${word} | ${cells.join('<br>')} |`);
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await printTable();
