// SPDX-License-Identifier: MIT
/*
 * Chance that can be repeated: everything follows from the seed, which a test names in its title and
 * takes from SEED when that is set.
 */
const WORDS = [
  '"', '\\', '{', '}', '[', ']', ',', ':', 'null', 'true', '1e999', '-', '0', '18446744073709551616', '\\u0000',
  '\\ud800', '\u202e', '\ufeff', '%00', '%', '&', '=', ';', '/', '..', '"data":', '"type":"user"', '"id":null',
];

export class Random {
  #state;

  constructor(seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** mulberry32: an integer below `limit`. */
  below(limit) {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** True once in `times`. */
  once(times) {
    return this.below(times) === 0;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  bytes(count) {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)));
  }

  /** `input` with one to four things wrong: bytes changed, lost, doubled, put in, or its end cut off. */
  broken(input) {
    let bytes = Buffer.from(input);
    for (let changes = 1 + this.below(4); changes > 0; changes--) bytes = this.#change(bytes);
    return bytes;
  }

  #change(bytes) {
    const at = this.below(bytes.length + 1);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const some = this.below(Math.min(after.length, 20) + 1);
    const middle = this.pick([
      [this.bytes(1), after.subarray(1)],
      [Buffer.alloc(0), after.subarray(some)],
      [after.subarray(0, some), after],
      [Buffer.from(this.pick(WORDS)), after],
      [this.bytes(this.below(16)), after],
      [],
    ]);
    return Buffer.concat([before, ...middle]);
  }
}
