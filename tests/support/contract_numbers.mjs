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

/** channels.md. */
const CHANNELS = [
  [1, 'path'], [2, 'order of checks'], [3, 'query decoding'], [4, 'what phoenix.js writes'],
  [5, 'vsn'], [6, 'user'], [7, 'refusals'], [8, 'success'], [9, 'early data'], [10, 'no Origin'],
  [11, 'list of origins'], [12, 'origins, the vectors'], [13, 'Origin is the own host'],
  [14, 'authToken'], [15, 'authToken as userToken'], [16, 'other subprotocols'],
  [17, 'no compression'], [18, 'message size'], [19, 'idle timeout'], [20, 'heartbeat'],
  [21, 'ping and pong'], [22, 'protocol errors'], [23, 'client close'],
  [24, 'one message per frame'], [25, 'refs are opaque'], [26, 'payloads of clients'],
  [27, 'payloads are objects'], [28, 'JSON'], [29, 'pass-through'], [30, 'malformed message'],
  [31, 'V2 text'], [32, 'V1, client to server'], [33, 'V1, server to client'],
  [34, 'binary and V1'], [35, 'binary layout'], [36, 'binary, the vectors'],
  [37, 'null refs in binary'], [38, 'malformed binary'], [39, 'any event in binary'],
  [40, 'binary names'], [41, 'heartbeat in every state'], [42, 'join accepted'],
  [43, 'first frame'], [44, 'unknown topic'], [45, 'topic patterns'], [46, 'join refused'],
  [47, 'join crashed'], [48, 'too many channels'], [49, 'waiting for a join'],
  [50, 'duplicate join'], [51, 'join_ref null'], [52, 'replies'], [53, 'no answer'],
  [54, 'not joined'], [55, 'stale join_ref'], [56, 'unknown event'],
  [57, 'server events from a client'], [58, 'leave'], [59, 'leave and join'], [60, 'phx_close'],
  [61, 'phx_error'], [62, 'end of the connection'], [63, 'refs, the table'],
  [64, 'strict refs of phoenix.js'], [65, 'order of one source'], [66, 'order of one client'],
  [67, 'order of publishers'], [68, 'at most once'], [69, 'broadcast, broadcast_from'],
  [70, 'reconnect delays'], [71, 'rejoin delays'], [72, 'pushes while away'],
  [73, 'join without answer'], [74, 'two channel objects'], [75, 'broadcast'], [76, 'push'],
  [77, 'intercept'], [78, 'failing intercept'], [79, 'socket id'], [80, 'disconnect'],
  [81, 'drain'], [82, 'paced drain'], [83, 'close codes'], [84, 'who may connect'],
  [85, 'canonical user id'], [86, 'deleted users'], [87, 'events of notifications'],
  [88, 'collected'], [89, 'rally-completed'], [90, 'ping'], [91, 'shout'], [92, 'pong'],
  [93, 'unusable collected'], [94, 'msg'], [95, 'msg without user_id'], [96, 'server ping'],
  [97, 'publishing'], [98, 'what the page relies on'],
  [99, 'presence state'], [100, 'phx_ref'], [101, 'phx_ref_prev'], [102, 'forged refs'],
  [103, 'prototype keys'], [104, 'order of metas'], [105, 'limits of presence'],
  [106, 'presence_state'], [107, 'presence_diff'], [108, 'snapshot rule'],
  [109, "the joiner's own entry"], [110, 'second meta'], [111, 'update'],
  [112, 'update replaces'], [113, 'leave'], [114, 'no own leave'], [115, 'rejoin merged'],
  [116, 'batching'], [117, 'order of diffs'], [118, 'size of state'], [119, 'syncState'],
  [120, 'syncDiff'], [121, 'diff before state'], [122, 'no lost diff'], [123, 'convergence'],
  [124, 'lag'], [125, 'timings of nodes'], [126, 'node crash'], [127, 'short interruption'],
  [128, 'restart under the same name'], [129, 'graceful stop'], [130, 'monotonic clock'],
  [131, 'one diff per topic'], [132, 'split'], [133, 'a starting node'], [165, 'clean close'],
  [166, 'thundering herd'], [167, 'refusals'], [168, 'lost messages'], [169, 'slow readers'],
  [170, 'compression'], [171, 'one bad frame'], [172, 'null join_ref'], [173, 'slow joins'],
  [174, 'crash loops'], [175, 'background tabs'], [176, 'zombie presences'],
  [177, 'leaves lost in a split'], [178, 'transfers'], [179, 'count and list'],
  [180, 'quadratic traffic'], [181, 'leave and join in one diff'], [182, 'list and diff race'],
  [183, 'no whole keys'], [184, 'graceful stop, at once or not'], [185, 'resource limits'],
];

/**
 * One entry per contract: the letter of its numbers, each number with a word about it, and ranges
 * without: what is optional and not built (long-poll, Supabase's topics).
 */
export const CONTRACTS = [
  { document: 'http-api.md', letter: 'H', numbers: HTTP, without: [] },
  { document: 'channels.md', letter: 'C', numbers: CHANNELS, without: [[134, 164]] },
];

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
    const opening = /^\s*(?:\w*[tT]est|table)\((.*)/.exec(line);
    if (opening) title = quotedIn(opening[1] || lines[i + 1]) ?? title;
    if (isComment(line)) return [];
    const row = /\['[A-Z]\d+', '([^']*)'/.exec(line);
    return numbersIn(line).map((number) => ({ number, test: row ? row[1] : title }));
  });
}

const quotedIn = (text) => /(['"`])((?:\\.|(?!\1).)*)\1/.exec(text)?.[2];

/** A test's name may begin with numbers (c46_c47_refused), and the comment above it have some. */
function mentionsInC(text) {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith('#include'));
  const testIn = (line) => /^static void (\w+)\(void \*\*state\)/.exec(line)?.[1];
  const isAbove = (line) => /^(\/\*| \*)/.test(line);
  let above = '';
  return lines.flatMap((line, i) => {
    above = testIn(line) ?? above;
    if (i < start) return [];
    const test = isAbove(line) ? testIn(lines.slice(i).find((each) => !isAbove(each)) ?? '') : above;
    if (!test) return [];
    const inName = (testIn(line) ?? '').match(/(?<=^|_)[ch]\d{1,3}(?=_)/g) ?? [];
    return [...numbersIn(line), ...inName.map((number) => number.toUpperCase())].map((number) => ({ number, test }));
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
