// SPDX-License-Identifier: MIT
/*
 * The HTTP contract row by row (tests/support/contract.mjs), for reviewers to hold against the
 * document. Runs against a stack of its own, or against any tako that is already there:
 *
 *   TAKO_CONTRACT_URL=https://api.example TAKO_CONTRACT_TOKEN=... [TAKO_CONTRACT_ADMIN_TOKEN=...] \
 *     node --test tests/integration/contract_table.test.mjs
 *
 * It registers some hundred users there, and the address it runs on must not be limited.
 */
import { ADMIN_ROWS, ROWS, checkRow, nameOf } from '../support/contract.mjs';
import { HttpClient } from '../support/http.mjs';
import { startStack } from '../support/stack.mjs';
import { table } from '../support/testing.mjs';

async function target() {
  const { TAKO_CONTRACT_URL: url, TAKO_CONTRACT_TOKEN: token, TAKO_CONTRACT_ADMIN_TOKEN: adminToken } = process.env;
  if (url) return { api: new HttpClient(url, token), adminToken };
  const stack = await startStack();
  return { api: stack.api, adminToken: stack.adminToken };
}

const { api, adminToken } = await target();
const { id } = await api.register('Contract');
const rows = adminToken ? [...ROWS, ...ADMIN_ROWS] : ROWS;

table('the contract', rows, nameOf, (row) => checkRow(row, api, { id, adminToken }));
