// SPDX-License-Identifier: MIT
/*
 * RESULTS.md: the targets of all scenarios in one table, then what each scenario said. A scenario's
 * section stays until that scenario runs again, so that the long ones need not run every time;
 * each section tells from which revision and how busy a machine it is.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

const HEAD = `# Results

What the figures mean, and how to get them: [README.md](README.md). This file is written by
\`make bench\`; do not edit it.

`;
const TABLE_HEAD = `| scenario | figure | measured | target | ratio | |
|---|---|--:|--:|--:|---|
`;

const number = (value) => {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
};

const isMet = ({ value, bound, limit }) => (bound === 'most' ? value <= limit : value >= limit);

function targetRow(scenario, target) {
  const sign = target.bound === 'most' ? '≤' : '≥';
  const cells = [
    scenario,
    target.figure,
    `${number(target.value)} ${target.unit}`.trim(),
    `${sign} ${number(target.limit)}`,
    (target.value / target.limit).toFixed(2),
    isMet(target) ? 'PASS' : '**MISS**',
  ];
  return `| ${cells.join(' | ')} |`;
}

/** For the terminal: the same rows, aligned. */
export function targetTable(results) {
  const rows = results.flatMap(({ name, targets }) =>
    targets.map((target) => targetRow(name, target).slice(2, -2).replaceAll('**', '').split(' | ')),
  );
  if (rows.length === 0) return '';
  const all = [['scenario', 'figure', 'measured', 'target', 'ratio', ''], ...rows];
  const widths = all[0].map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const isText = (i) => i < 2 || i === 5;
  return all
    .map((row) =>
      row.map((cell, i) => (isText(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '),
    )
    .join('\n');
}

export function machine() {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} x ${cpus()[0].model}, ${memory} GB, Linux ${release()}`;
}

function revision() {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    const changed = git('status', '--porcelain', '--', 'broker', 'common') ? ', changed' : '';
    return `revision ${git('rev-parse', '--short=12', 'HEAD')}${changed}`;
  } catch {
    return 'no git revision';
  }
}

const REVISION = revision(); // what runs, whatever happens to the working copy meanwhile

function section({ name, title, targets, lines, seconds, othersCores, stolenCores }) {
  const when = new Date().toISOString().slice(0, 10);
  const busy = `other programs used ${othersCores.toFixed(2)} cores meanwhile`;
  const stolen = stolenCores >= 0.01 ? `, other machines took ${stolenCores.toFixed(2)}` : '';
  const rows = targets.map((target) => `${targetRow(name, target)}\n`).join('');
  return `## ${name}

${title[0].toUpperCase()}${title.slice(1)}. ${when}, ${REVISION}, ${machine()}; ${Math.round(seconds)} s,
${busy}${stolen}.

${rows ? `${TABLE_HEAD}${rows}\n` : ''}\`\`\`text
${lines.join('\n').trim()}
\`\`\`
`;
}

/** name -> text of the sections that a file has. */
function readSections(path) {
  const sections = new Map();
  if (!existsSync(path)) return sections;
  for (const text of readFileSync(path, 'utf8').split(/^(?=## )/m).slice(1)) {
    const name = /^## (.*)/.exec(text)[1];
    if (name !== 'targets') sections.set(name, text.trimEnd());
  }
  return sections;
}

export function writeResults(path, results) {
  const sections = readSections(path);
  for (const result of results) sections.set(result.name, section(result).trimEnd());
  const names = [...sections.keys()].sort();
  const rows = names.flatMap((name) =>
    sections.get(name).split('\n').filter((line) => line.startsWith(`| ${name} |`)),
  );
  const all = names.map((name) => sections.get(name)).join('\n\n');
  writeFileSync(path, `${HEAD}## targets\n\n${TABLE_HEAD}${rows.join('\n')}\n\n${all}\n`);
}
