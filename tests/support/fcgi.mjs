// SPDX-License-Identifier: MIT
/* FastCGI from the web server's side, record by record: what a test writes need not be well-formed. */
import { RawConnection } from './raw.mjs';

export const recordType = { begin: 1, abort: 2, end: 3, params: 4, stdin: 5, stdout: 6, getValues: 9 };
const RESPONDER = 1;
const ID = 1;

/** One record; `length` claims another size than the content has. */
export function record(type, content = '', { id = ID, version = 1, length } = {}) {
  const body = Buffer.from(content);
  const head = Buffer.from([version, type, 0, id, 0, 0, 0, 0]);
  head.writeUInt16BE(length ?? body.length, 4);
  return Buffer.concat([head, body]);
}

export function begin({ role = RESPONDER, flags = 0, id } = {}) {
  return record(recordType.begin, Buffer.from([0, role, flags, 0, 0, 0, 0, 0]), { id });
}

/** The content of a PARAMS record, from [name, value] pairs. */
export function pairs(variables) {
  const parts = variables.flatMap(([name, value]) => {
    const [key, text] = [Buffer.from(name), Buffer.from(value)];
    return [lengthOf(key.length), lengthOf(text.length), key, text];
  });
  return Buffer.concat(parts);
}

/** A length as FastCGI writes it: one byte, or four with the high bit set. */
export function lengthOf(count) {
  if (count < 128) return Buffer.from([count]);
  const long = Buffer.alloc(4);
  long.writeUInt32BE((count | 0x80000000) >>> 0);
  return long;
}

/** A whole request, one record per part; parts over 65535 bytes do not fit. */
export function request(variables, body = '') {
  return Buffer.concat([
    begin(),
    record(recordType.params, pairs(variables)),
    record(recordType.params),
    ...(body.length > 0 ? [record(recordType.stdin, body)] : []),
    record(recordType.stdin),
  ]);
}

/** A connection to the socket that tako-api listens on. */
export function openFcgi(path) {
  return RawConnection.open(path);
}

/** The status of the answer to a request; null when the connection ends, or the request is refused, without. */
export async function statusOf(connection, timeout) {
  const parts = [];
  try {
    for (;;) {
      const head = await connection.bytes(8, timeout);
      const [type, id, length, padding] = [head[1], head.readUInt16BE(2), head.readUInt16BE(4), head[6]];
      const content = await connection.bytes(length + padding, timeout);
      if (id === ID && type === recordType.stdout) parts.push(content.subarray(0, length));
      if (id === ID && type === recordType.end) break;
    }
  } catch (error) {
    if (connection.hasEnded) return null;
    throw error;
  }
  const status = /^Status: (\d+)/.exec(Buffer.concat(parts).toString());
  return status && Number(status[1]);
}
