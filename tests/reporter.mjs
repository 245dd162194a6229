// SPDX-License-Identifier: MIT
/*
 * What tests/run shows of a Node test file: failures in full, other tests by name. Every result is
 * also one word in the file TAKO_TEST_RESULTS names, written at once, so that they count even if the
 * test file never ends. What only sums up others does not count: suites, tests that failed because a
 * subtest did, and a file that was run without finding a test in it.
 */
import { appendFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { inspect } from 'node:util';

const results = process.env.TAKO_TEST_RESULTS;

export default async function* report(events) {
  const parents = new ParentNames();
  for await (const { type, data } of events) {
    if (type === 'test:start') parents.begin(data);
    else if (type === 'test:pass') yield onPass(data, parents);
    else if (type === 'test:fail') yield onFail(data, parents);
    else if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
  }
}

function onPass(data, parents) {
  if (data.details.type === 'suite' || isFile(data)) return '';
  const skipped = data.skip !== undefined || data.todo !== undefined;
  record(skipped ? 'skip' : 'pass');
  return `${skipped ? 'skipped' : 'ok'}  ${parents.path(data)}\n`;
}

function onFail(data, parents) {
  const { error } = data.details;
  if (error?.failureType === 'subtestsFailed') return '';
  record('fail');
  return `FAILED  ${parents.path(data)}\n${indent(describe(error))}\n`;
}

function isFile({ nesting, name, file }) {
  return nesting === 0 && file !== undefined && resolve(name) === file;
}

function record(result) {
  if (results) appendFileSync(results, `${result}\n`);
}

/** node:test wraps what the test threw; that is what one wants to read. */
function describe(error) {
  const cause = error?.cause ?? error;
  return typeof cause === 'string' ? cause : inspect(cause, { depth: 4 });
}

function indent(text) {
  return text.replace(/^/gm, '    ');
}

/** Events say how deep a test is, not below which one. */
class ParentNames {
  #names = [];

  begin({ nesting, name }) {
    this.#names[nesting] = name;
  }

  path({ nesting, name }) {
    return [...this.#names.slice(0, nesting), name].join(' > ');
  }
}
