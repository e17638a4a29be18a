// @ts-check
/**
 * SHA-256 (FIPS 180-4) piece by piece, and CRC-32 (PKWARE APPNOTE 4.4.7): a file may be longer than memory, and
 * what the browser offers wants it whole. Small things are hashed here, too: waiting for the browser takes longer.
 */

// FIPS 180-4 §4.2.2: the first 32 bits of the fractions of the cube roots of the first 64 primes; §5.3.3: of the
// square roots of the first 8.
const [K, START] = constants();
const BLOCK_BYTES = 64;

/** @returns {[Int32Array, Int32Array]} */
function constants() {
  /** @type {number[]} */
  const primes = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
  // Exact, in whole numbers: the largest x with x^power <= prime * 2^(32 * power).
  const root = (/** @type {number} */ prime, /** @type {bigint} */ power) => {
    const target = BigInt(prime) << (32n * power);
    let low = 0n;
    let high = 1n << 40n;
    while (high - low > 1n) {
      const middle = (low + high) >> 1n;
      if (middle ** power <= target) low = middle;
      else high = middle;
    }
    return Number(low & 0xffffffffn) | 0;
  };
  return [
    Int32Array.from(primes, (prime) => root(prime, 3n)),
    Int32Array.from(primes.slice(0, 8), (prime) => root(prime, 2n)),
  ];
}

export class Sha256 {
  #state = START.slice();
  #words = new Int32Array(64);
  #rest = new Uint8Array(BLOCK_BYTES);
  #resting = 0;
  #size_bytes = 0;

  /** @param {Uint8Array} data */
  update(data) {
    this.#size_bytes += data.length;
    let at = 0;
    if (this.#resting > 0) {
      at = Math.min(BLOCK_BYTES - this.#resting, data.length);
      this.#rest.set(data.subarray(0, at), this.#resting);
      this.#resting += at;
      if (this.#resting < BLOCK_BYTES) return this;
      this.#block(this.#rest, 0);
      this.#resting = 0;
    }
    for (; at + BLOCK_BYTES <= data.length; at += BLOCK_BYTES) this.#block(data, at);
    this.#rest.set(data.subarray(at));
    this.#resting = data.length - at;
    return this;
  }

  /** The hash of all that was given; nothing may be given after it. @returns {Uint8Array<ArrayBuffer>} */
  digest() {
    // §5.1.1: a one bit, zeros, and the length in bits in the last 8 bytes of a block.
    const end = new Uint8Array(this.#resting < BLOCK_BYTES - 8 ? BLOCK_BYTES : 2 * BLOCK_BYTES);
    end.set(this.#rest.subarray(0, this.#resting));
    end[this.#resting] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(this.#size_bytes / 2 ** 29));
    view.setUint32(end.length - 4, (this.#size_bytes * 8) >>> 0);
    for (let at = 0; at < end.length; at += BLOCK_BYTES) this.#block(end, at);
    const digest = new Uint8Array(32);
    const out = new DataView(digest.buffer);
    this.#state.forEach((word, index) => {
      out.setInt32(4 * index, word);
    });
    return digest;
  }

  /** §6.2.2. @param {Uint8Array} data @param {number} begin */
  #block(data, begin) {
    const w = this.#words;
    const h = this.#state;
    for (let t = 0, at = begin; t < 16; t += 1, at += 4) {
      w[t] = (of(data, at) << 24) | (of(data, at + 1) << 16) | (of(data, at + 2) << 8) | of(data, at + 3);
    }
    for (let t = 16; t < 64; t += 1) {
      const x = of(w, t - 15);
      const y = of(w, t - 2);
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = (of(w, t - 16) + s0 + of(w, t - 7) + s1) | 0;
    }
    let a = of(h, 0);
    let b = of(h, 1);
    let c = of(h, 2);
    let d = of(h, 3);
    let e = of(h, 4);
    let f = of(h, 5);
    let g = of(h, 6);
    let k = of(h, 7);
    for (let t = 0; t < 64; t += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (k + s1 + ((e & f) ^ (~e & g)) + of(K, t) + of(w, t)) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      k = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    h[0] = (of(h, 0) + a) | 0;
    h[1] = (of(h, 1) + b) | 0;
    h[2] = (of(h, 2) + c) | 0;
    h[3] = (of(h, 3) + d) | 0;
    h[4] = (of(h, 4) + e) | 0;
    h[5] = (of(h, 5) + f) | 0;
    h[6] = (of(h, 6) + g) | 0;
    h[7] = (of(h, 7) + k) | 0;
  }
}

/** What stands there; every index here is in bounds. @param {Int32Array | Uint8Array} array @param {number} index */
function of(array, index) {
  return /** @type {number} */ (array[index]);
}

/** Of small things, without waiting. @param {...Uint8Array} parts */
export function hashNow(...parts) {
  const hash = new Sha256();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

// Eight bytes at a step: table n is of a byte with n more bytes behind it.
const CRC = Array.from({ length: 8 }, () => new Int32Array(256));
for (let n = 0; n < 256; n += 1) {
  let c = n;
  for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  /** @type {Int32Array} */ (CRC[0])[n] = c;
}
for (let n = 0; n < 256; n += 1) {
  for (let table = 1; table < 8; table += 1) {
    const before = of(/** @type {Int32Array} */ (CRC[table - 1]), n);
    /** @type {Int32Array} */ (CRC[table])[n] =
      of(/** @type {Int32Array} */ (CRC[0]), before & 255) ^ (before >>> 8);
  }
}

/** @param {Uint8Array} data @param {number} [before] the sum of what came before it */
export function crc(data, before = 0) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] =
    /** @type {[Int32Array, Int32Array, Int32Array, Int32Array, Int32Array,
    Int32Array, Int32Array, Int32Array]} */ (CRC);
  let c = ~before;
  let at = 0;
  for (; at + 8 <= data.length; at += 8) {
    const low =
      c ^ (of(data, at) | (of(data, at + 1) << 8) | (of(data, at + 2) << 16) | (of(data, at + 3) << 24));
    c =
      of(t7, low & 255) ^
      of(t6, (low >>> 8) & 255) ^
      of(t5, (low >>> 16) & 255) ^
      of(t4, low >>> 24) ^
      of(t3, of(data, at + 4)) ^
      of(t2, of(data, at + 5)) ^
      of(t1, of(data, at + 6)) ^
      of(t0, of(data, at + 7));
  }
  for (; at < data.length; at += 1) c = of(t0, (c ^ of(data, at)) & 255) ^ (c >>> 8);
  return ~c >>> 0;
}
