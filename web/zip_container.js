// @ts-check
/**
 * The container of a package, read piece by piece: the one zip that `server/evidence/container.py` writes.
 *
 *     local header 0 │ data 0 │ local header 1 │ data 1 │ … │ directory 0 │ directory 1 │ … │ (Zip64 end) │ end
 *
 * Members stand in the order of their names, stored without compression, with nothing between them and nothing
 * behind; Zip64 (APPNOTE 4.3.14, 4.3.15, 4.5.3) stands exactly where it has to. Small files are copied; a long one stays where it lies, and is hashed as it passes by.
 */

import { crc, hashNow, Sha256 } from "./hashing.js";
import { said } from "./said.js";

/** @typedef {import("./said.js").Said} Said */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {[string, Content][]} Members */
/** @typedef {{message: Said, index: number | null, names: string[]}} Damage */
/** @typedef {{in_order: Members, by_directory: Members, damage: Damage | null}} Reading */

const MAX_MEMBERS = 400_000;
const MAX_SIZE_BYTES = 2 ** 40;
const MAX_16 = 2 ** 16 - 1; // what a field of 16 bits holds at most, and
const MAX_32 = 2 ** 32 - 1; // one of 32 bits: Zip64 has what is more
const MAX_NAME_BYTES = 120; // the longest name in a package, of a file to be played, has 98
const COPIED_BYTES = 65_536; // nothing that is parsed is longer
const WINDOW_BYTES = 1 << 22; // read at once
const WHOLE_BYTES = 1 << 26; // the longest file that the browser hashes, which wants it whole

// APPNOTE 4.3.7, 4.3.12, 4.3.16: what stands before the check sum. Version 2.0, no flags, stored, 1 January 1980.
const LOCAL_START = Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0);
const CENTRAL_START = Uint8Array.of(0x50, 0x4b, 1, 2, 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0);
const CENTRAL_MIDDLE = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0xa4, 0x81); // a plain file of Unix, mode 644
const SIZES_BYTES = 16; // check sum, size twice, lengths of name and extra field
const LOCAL_BYTES = LOCAL_START.length + SIZES_BYTES;
const CENTRAL_BYTES = CENTRAL_START.length + SIZES_BYTES + CENTRAL_MIDDLE.length + 4;
const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const VERSION_ZIP64 = 45; // APPNOTE 4.4.3.2
const EXTRA_BYTES = 12; // APPNOTE 4.5.3: tag 1, the length of what follows, the offset
const END_ZIP64_BYTES = 56;
const END_ZIP64_SIGNATURE = 0x06064b50;
const LOCATOR_BYTES = 20;
const LOCATOR_SIGNATURE = 0x07064b50;

/** A file of a person's, read where it lies. */
export class Source {
  #blob;
  #begin = 0;
  /** @type {Bytes} */
  #window = new Uint8Array();

  /** @param {Blob} blob @param {(read_bytes: number) => void} [on_progress] */
  constructor(blob, on_progress = () => {}) {
    this.#blob = blob;
    this.size = blob.size;
    this.on_progress = on_progress;
  }

  /** The bytes from `begin` to `end`, or to the end of the file; valid until the next call. @param {number} begin @param {number} end */
  async read(begin, end) {
    const last = Math.min(end, this.size);
    if (begin < this.#begin || last > this.#begin + this.#window.length) {
      const until = Math.min(this.size, Math.max(last, begin + WINDOW_BYTES));
      this.#window = new Uint8Array(await this.#blob.slice(begin, until).arrayBuffer());
      this.#begin = begin;
      this.on_progress(begin);
    }
    return this.#window.subarray(begin - this.#begin, Math.max(begin, last) - this.#begin);
  }

  /** The same without waiting, where it is at hand. @param {number} begin @param {number} end */
  peek(begin, end) {
    const at = begin - this.#begin;
    return at >= 0 && end - this.#begin <= this.#window.length
      ? this.#window.subarray(at, end - this.#begin)
      : null;
  }

  /** The same file with a window of its own. */
  again() {
    return new Source(this.#blob);
  }

  /** @param {number} begin @param {number} end */
  slice(begin, end) {
    return this.#blob.slice(begin, end);
  }
}

/** What a file of the container holds. */
export class Content {
  #source;
  #begin;
  #hash = "";

  /** @param {Source} source @param {number} begin @param {number} size @param {Bytes | null} bytes null: a long file */
  constructor(source, begin, size, bytes) {
    this.#source = source;
    this.#begin = begin;
    this.size = size;
    this.bytes = bytes;
  }

  /** SHA-256 in hex. */
  async hash() {
    if (this.#hash === "") await this.sum();
    return this.#hash;
  }

  /** Its CRC-32; of a long file its hash as well, for then it is read once. */
  async sum() {
    if (this.bytes) {
      this.#hash ||= hex(hashNow(this.bytes));
      return crc(this.bytes);
    }
    const end = this.#begin + this.size;
    const subtle = globalThis.crypto?.subtle;
    let sum = 0;
    if (this.size <= WHOLE_BYTES && subtle) {
      const whole = await this.#source.read(this.#begin, end);
      sum = crc(whole);
      this.#hash = hex(new Uint8Array(await subtle.digest("SHA-256", whole)));
      return sum;
    }
    const hash = new Sha256();
    for (let at = this.#begin; at < end; at += WINDOW_BYTES) {
      const piece = await this.#source.read(at, Math.min(end, at + WINDOW_BYTES));
      sum = crc(piece, sum);
      hash.update(piece);
    }
    this.#hash = hex(hash.digest());
    return sum;
  }

  /** Its first bytes. @param {number} limit */
  async head(limit) {
    if (this.bytes) return this.bytes.slice(0, limit);
    return new Uint8Array(await this.blob().slice(0, limit).arrayBuffer());
  }

  /** Its last bytes. @param {number} limit */
  async tail(limit) {
    const begin = Math.max(0, this.size - limit);
    if (this.bytes) return this.bytes.slice(begin);
    return new Uint8Array(await this.blob().slice(begin).arrayBuffer());
  }

  /** @param {string} [media_type] */
  blob(media_type) {
    return this.#source.slice(this.#begin, this.#begin + this.size).slice(0, this.size, media_type ?? "");
  }
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads a container and says where it is damaged: of a ruin, what is left is read. @param {Source} source @returns {Promise<Reading>} */
export async function readContainer(source) {
  const { members, records, offset, wrong } = await walk(source);
  let message = wrong;
  /** @type {number | null} */
  let index = members.length;
  if (message === null) {
    const compared = await compareDirectory(source, offset, records);
    message = compared.message;
    index = compared.index;
    if (message === null) {
      if (members.every(([name], at) => at === 0 || (members[at - 1]?.[0] ?? "") < name)) {
        return { in_order: members, by_directory: [], damage: null };
      }
      message = said("zip_order");
      index = null;
    }
  }
  const by_directory = await readByDirectory(source);
  const names = await namesAt(source, index, members, offset, by_directory);
  return { in_order: members, by_directory, damage: { message, index, names } };
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function equal(a, b) {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** @param {Uint8Array} bytes */
function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {Uint8Array} bytes every byte of them below 128 or replaced */
function ascii(bytes) {
  return Array.from(bytes, (byte) => (byte < 128 ? String.fromCharCode(byte) : "\ufffd")).join("");
}

/** @param {Source} source @param {number} begin @param {number} end @returns {Promise<Content>} */
async function contentAt(source, begin, end) {
  const size = end - begin;
  if (size > COPIED_BYTES) return new Content(source, begin, size, null);
  const bytes = source.peek(begin, end) ?? (await source.read(begin, end));
  return new Content(source, begin, size, bytes.slice());
}

/**
 * From local header to local header: the members, the records that the directory must have for them, where it ended,
 * and what is wrong there if anything.
 * @param {Source} source
 */
async function walk(source) {
  /** @type {Members} */
  const members = [];
  /** @type {Bytes[]} */
  const records = [];
  let offset = 0;
  const limit = Math.min(source.size, MAX_SIZE_BYTES);
  const { count } = await endRecord(source);
  /** @param {string | null} code */
  const ended = (code) => ({ members, records, offset, wrong: code === null ? null : said(code) });
  while (true) {
    const header_end = offset + LOCAL_BYTES;
    const header = source.peek(offset, header_end) ?? (await source.read(offset, header_end));
    const whole = header.length === LOCAL_BYTES;
    if (!whole || !equal(header.subarray(0, LOCAL_START.length), LOCAL_START)) {
      // Here begins the directory, if it says so itself or if the end of the zip says so.
      const directory = header.length >= 4 && equal(header.subarray(0, 4), CENTRAL_START.subarray(0, 4));
      return ended(directory || members.length === count ? null : "zip_header");
    }
    const fields = view(header);
    const sum = fields.getUint32(14, true);
    const packed_size = fields.getUint32(18, true);
    const size = fields.getUint32(22, true);
    const name_size = fields.getUint16(26, true);
    const extra_size = fields.getUint16(28, true);
    const sizes = header.slice(LOCAL_START.length);
    const begin = header_end + name_size;
    const end = begin + size;
    if (packed_size !== size || extra_size > 0 || end > limit) return ended("zip_sizes");
    if (members.length === MAX_MEMBERS) return ended("zip_one_more");
    if (name_size > MAX_NAME_BYTES) return ended("zip_name_long");
    const name = (source.peek(header_end, begin) ?? (await source.read(header_end, begin))).slice();
    const content = await contentAt(source, begin, end);
    if ((content.bytes ? crc(content.bytes) : await content.sum()) !== sum) return ended("zip_sum");
    if (name.some((byte) => byte > 127)) return ended("zip_name");
    members.push([ascii(name), content]);
    records.push(centralRecord(sizes, offset, name));
    offset = end;
  }
}

/** @param {Uint8Array} sizes @param {number} offset @param {Uint8Array} name */
function centralRecord(sizes, offset, name) {
  const wide = offset >= MAX_32;
  const record = new Uint8Array(CENTRAL_BYTES + name.length + (wide ? EXTRA_BYTES : 0));
  const fields = view(record);
  record.set(CENTRAL_START);
  record.set(sizes, CENTRAL_START.length);
  record.set(CENTRAL_MIDDLE, CENTRAL_START.length + SIZES_BYTES);
  fields.setUint32(CENTRAL_BYTES - 4, Math.min(offset, MAX_32), true);
  record.set(name, CENTRAL_BYTES);
  if (wide) {
    fields.setUint16(6, VERSION_ZIP64, true);
    fields.setUint16(30, EXTRA_BYTES, true);
    fields.setUint16(CENTRAL_BYTES + name.length, 1, true);
    fields.setUint16(CENTRAL_BYTES + name.length + 2, 8, true);
    fields.setBigUint64(CENTRAL_BYTES + name.length + 4, BigInt(offset), true);
  }
  return record;
}

/** What stands behind a directory of `count` records and `size` bytes that begins at `offset`. @param {number} count @param {number} size @param {number} offset */
function endsOf(count, size, offset) {
  const wide = count > MAX_16 || size > MAX_32 || offset > MAX_32;
  const before = wide ? END_ZIP64_BYTES + LOCATOR_BYTES : 0;
  const ends = new Uint8Array(before + END_BYTES);
  const fields = view(ends);
  if (wide) {
    fields.setUint32(0, END_ZIP64_SIGNATURE, true);
    fields.setBigUint64(4, BigInt(END_ZIP64_BYTES - 12), true); // without signature and this field
    fields.setUint16(12, (3 << 8) | 20, true);
    fields.setUint16(14, VERSION_ZIP64, true);
    fields.setBigUint64(24, BigInt(count), true);
    fields.setBigUint64(32, BigInt(count), true);
    fields.setBigUint64(40, BigInt(size), true);
    fields.setBigUint64(48, BigInt(offset), true);
    fields.setUint32(END_ZIP64_BYTES, LOCATOR_SIGNATURE, true);
    fields.setBigUint64(END_ZIP64_BYTES + 8, BigInt(offset + size), true);
    fields.setUint32(END_ZIP64_BYTES + 16, 1, true);
  }
  fields.setUint32(before, END_SIGNATURE, true);
  fields.setUint16(before + 8, Math.min(count, MAX_16), true);
  fields.setUint16(before + 10, Math.min(count, MAX_16), true);
  fields.setUint32(before + 12, Math.min(size, MAX_32), true);
  fields.setUint32(before + 16, Math.min(offset, MAX_32), true);
  return ends;
}

/** @param {Source} source @param {number} offset where the directory begins @param {Bytes[]} records as they must be */
async function compareDirectory(source, offset, records) {
  const size = records.reduce((sum, record) => sum + record.length, 0);
  const end = endsOf(records.length, size, offset);
  let at = offset;
  for (const [index, record] of records.entries()) {
    const there = source.peek(at, at + record.length) ?? (await source.read(at, at + record.length));
    if (!equal(there, record)) return { message: said("zip_record"), index };
    at += record.length;
  }
  const last = (await source.read(at, at + end.length + 1)).slice();
  return { message: equal(last, end) ? null : said("zip_end"), index: null };
}

/** Number of members and offset of the directory; -1 if the end cannot be read. @param {Source} source */
async function endRecord(source) {
  const place = source.size - END_BYTES;
  if (place < 0) return { count: -1, offset: -1 };
  const end = view(await source.read(place, source.size));
  if (end.getUint32(0, true) !== END_SIGNATURE) return { count: -1, offset: -1 };
  const found = { count: end.getUint16(10, true), offset: end.getUint32(16, true) };
  const locator_at = place - LOCATOR_BYTES;
  if (locator_at < END_ZIP64_BYTES) return found;
  const locator = view(await source.read(locator_at, place));
  const begin = Number(locator.getBigUint64(8, true));
  if (locator.getUint32(0, true) !== LOCATOR_SIGNATURE || begin > locator_at - END_ZIP64_BYTES) return found;
  const wide = view(await source.read(begin, begin + END_ZIP64_BYTES));
  if (wide.getUint32(0, true) !== END_ZIP64_SIGNATURE) return found;
  return { count: Number(wide.getBigUint64(32, true)), offset: Number(wide.getBigUint64(48, true)) };
}

/** The members as the directory at the end has them, as far as it can be read. @param {Source} source */
async function readByDirectory(source) {
  /** @type {Members} */
  const members = [];
  const directory = source.again(); // read beside the files, not in turns with them
  const { count, offset } = await endRecord(source);
  let position = offset;
  let left = source.size; // records that name the same bytes again and again must not fill the memory
  while (members.length < Math.min(count, MAX_MEMBERS) && position + CENTRAL_BYTES <= source.size) {
    const fields = view(await directory.read(position, position + CENTRAL_BYTES));
    const size = fields.getUint32(24, true);
    const name_size = fields.getUint16(28, true);
    let at = fields.getUint32(42, true);
    position += CENTRAL_BYTES;
    if (name_size > MAX_NAME_BYTES) break;
    const name = ascii(await directory.read(position, position + name_size));
    position += name_size;
    if (at === MAX_32) {
      // What is cut off counts as far as it goes, lowest byte first.
      const offset_bytes = (await directory.read(position, position + EXTRA_BYTES)).subarray(4);
      at = offset_bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
      position += EXTRA_BYTES;
    }
    const begin = Math.min(at + LOCAL_BYTES + name_size, source.size);
    const content = await contentAt(source, begin, Math.min(begin + size, source.size));
    left -= content.size;
    if (left < 0) break;
    members.push([name, content]);
  }
  return members;
}

/**
 * What the two places call the damaged member, as far as they can be read.
 * @param {Source} source @param {number | null} index @param {Members} members @param {number} offset
 * @param {Members} by_directory
 */
async function namesAt(source, index, members, offset, by_directory) {
  if (index === null) return [];
  const names = [];
  const member = members[index];
  if (member) names.push(member[0]);
  else if (source.size >= offset + LOCAL_BYTES) {
    const name_size = view(await source.read(offset, offset + LOCAL_BYTES)).getUint16(26, true);
    names.push(ascii(await source.read(offset + LOCAL_BYTES, offset + LOCAL_BYTES + name_size)));
  }
  const other = by_directory[index];
  if (other) names.push(other[0]);
  return names;
}
