// @ts-check
/**
 * What a time-stamp token says of itself: the hash that it is of, and its time. Its signature is not looked at: so
 * much is the word of whoever wrote the token. Pure.
 *
 *     ContentInfo ─ SignedData ─ encapContentInfo ─ TSTInfo       RFC 5652 §5.1, RFC 3161 §2.4.2
 *                                                     ├── messageImprint   algorithm and hash
 *                                                     └── genTime          UTC, as GeneralizedTime
 */

import { same, toHex } from "./evidence.js";
import { hashNow } from "./hashing.js";
import { Wrong } from "./said.js";

/** @typedef {[number, Uint8Array]} Element tag and content */

const MAX_TOKEN_BYTES = 65_536; // a token with its chain has 2 to 8 KiB
// Tags of DER (X.690 §8.1.2).
const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const OCTET_STRING = 0x04;
const GENERALIZED_TIME = 0x18;
const EXPLICIT_0 = 0xa0;
const SIGNED_DATA = "2a864886f70d010702"; // 1.2.840.113549.1.7.2, RFC 5652 §5.1
const TST_INFO = "2a864886f70d0109100104"; // 1.2.840.113549.1.9.16.1.4, RFC 3161 §2.4.2
const SHA256 = "608648016503040201"; // 2.16.840.1.101.3.4.2.1, RFC 5754 §2.2

/** When the token says that it was made, once it is found to be of these bytes; to the second, rounded down. @param {Uint8Array} token @param {Uint8Array} note @returns {Date} */
export function checkImprint(token, note) {
  if (token.length > MAX_TOKEN_BYTES) throw new Wrong("token_long", { limit: MAX_TOKEN_BYTES });
  const { imprint, at } = readToken(token);
  if (!same(imprint, hashNow(note))) throw new Wrong("token_imprint");
  return at;
}

/** @param {Uint8Array} token @returns {{imprint: Uint8Array, at: Date}} */
function readToken(token) {
  const outer = elements(only(token, SEQUENCE));
  if (outer.length !== 2 || !isIdentifier(outer[0], SIGNED_DATA) || outer[1]?.[0] !== EXPLICIT_0) {
    throw new Wrong("token_signed");
  }
  const signed = elements(only(outer[1][1], SEQUENCE));
  if (signed.length < 4 || signed[2]?.[0] !== SEQUENCE) throw new Wrong("token_content");
  const content = elements(signed[2][1]);
  if (content.length !== 2 || !isIdentifier(content[0], TST_INFO) || content[1]?.[0] !== EXPLICIT_0) {
    throw new Wrong("token_other");
  }
  const info = elements(only(only(content[1][1], OCTET_STRING), SEQUENCE));
  if (info.length < 5 || info[2]?.[0] !== SEQUENCE || info[4]?.[0] !== GENERALIZED_TIME) {
    throw new Wrong("token_info");
  }
  const [algorithm, digest, ...rest] = elements(info[2][1]);
  if (algorithm?.[0] !== SEQUENCE || digest?.[0] !== OCTET_STRING || rest.length > 0) {
    throw new Wrong("token_imprint_form");
  }
  if (!isIdentifier(elements(algorithm[1])[0], SHA256)) throw new Wrong("token_hash");
  return { imprint: digest[1], at: moment(info[4][1]) };
}

/** @param {Element | undefined} element @param {string} hex */
function isIdentifier(element, hex) {
  return element?.[0] === OBJECT_IDENTIFIER && toHex(element[1]) === hex;
}

/** RFC 3161 §2.4.2: "The syntax is: YYYYMMDDhhmmss[.s...]Z". @param {Uint8Array} content */
function moment(content) {
  const text = String.fromCharCode(...content.subarray(0, 64));
  const match = /^([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.[0-9]{1,9})?Z$/.exec(text);
  const [, year, month, day, hour, minute, second] = match ?? [];
  const spelt = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const at = new Date(spelt);
  if (!match || year === "0000" || Number.isNaN(at.getTime()) || at.toISOString() !== spelt) {
    throw new Wrong("token_moment");
  }
  return at;
}

/** The content of the one element that these bytes are. @param {Uint8Array} data @param {number} tag */
function only(data, tag) {
  const [first, ...rest] = elements(data);
  if (first?.[0] !== tag || rest.length > 0) throw new Wrong("token_der");
  return first[1];
}

/** The elements that stand one after the other; tags of one byte, lengths as DER has them (X.690 §10.1). @param {Uint8Array} data @returns {Element[]} */
function elements(data) {
  /** @type {Element[]} */
  const found = [];
  let offset = 0;
  while (offset < data.length) {
    const tag = data[offset] ?? 0;
    let begin = offset + 2;
    let length = data[offset + 1] ?? 0;
    if (length >= 0x80) {
      const size = length & 0x7f;
      length = data.subarray(begin, begin + size).reduce((sum, byte) => sum * 256 + byte, 0);
      begin += size;
    }
    if (begin > data.length || begin + length > data.length || (tag & 0x1f) === 0x1f) {
      throw new Wrong("token_cut");
    }
    found.push([tag, data.subarray(begin, begin + length)]);
    offset = begin + length;
  }
  return found;
}
