// @ts-check
/**
 * A copy of a picture with Content Credentials, as `server/evidence/credential.py` opens it: without them it is, byte
 * for byte, the sealed picture, and they name its entry, proof and checkpoint. Who signed them is for a reader of C2PA
 * to say. Pure.
 *
 *     FF D8 │ APP0 │ APP11 "JP" …, APP11 "JP" … │ the rest of the picture
 *                    └── JUMBF (ISO/IEC 19566-5) ─┐
 *     jumb "c2pa" ─ jumb "urn:c2pa:…" ─ jumb "c2pa.assertions" ─ jumb "proofcall.evidence" ─ json
 */

import { parseLoosely } from "./canonical.js";
import { canonicalBytes, fromHex, toHex } from "./evidence.js";
import { hashNow } from "./hashing.js";
import {
  checkCommitment,
  checkInclusion,
  encodeKey,
  hashLeaf,
  openCheckpoint,
  parseEnvelope,
  parseKey,
  parseProof,
} from "./package_entry.js";
import { blobReferences } from "./package_frames.js";
import { Wrong } from "./said.js";

/** @typedef {import("./canonical.js").Json} Json */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

const LABEL = "proofcall.evidence"; // of the assertion
const FIELDS = "checkpoint,entry,format,sha256,version,vkey";
const ENTRY_FIELDS = "body,envelope,proof,salt";
const MAX_BODY_BYTES = 65_535;
const MAX_STORE_BYTES = 1 << 20;
const MAX_BOXES = 1000;
const MAX_DEPTH = 8;
const START = [0xff, 0xd8]; // ITU-T T.81 §B.1.1.3: SOI, APP11, SOS
const APP11 = 0xeb;
const SCAN = 0xda;
const SEGMENT_BYTES = 4; // marker, and the length that counts itself (ITU-T T.81 §B.1.1.4)
// ISO/IEC 19566-5 annex D: "JP", the number of the box, that of the packet; then LBox and TBox in each.
const PACKET_BYTES = 8;
const BOX_BYTES = 8;
const DESCRIPTION_BYTES = 17; // annex A.3: what the box is, and which fields follow
const HAS_LABEL = 2;

/** Raises Wrong unless it is a copy of the picture with this hash, whose entry is in the log of this key. @param {Bytes} data @param {string} sha256 @param {import("./package_entry.js").Key} key */
export async function checkCopy(data, sha256, key) {
  const { picture, store } = split(data);
  if (store.length === 0) throw new Wrong("copy_bare");
  const found = assertions(store).filter(([label]) => label === LABEL);
  const [assertion] = found;
  if (found.length !== 1 || !assertion) throw new Wrong("copy_assertions", { count: found.length });
  const said = parseCredential(assertion[1]);
  if (said.sha256 !== sha256) throw new Wrong("copy_of_another");
  if (toHex(hashNow(picture)) !== sha256) throw new Wrong("copy_changed");
  if (![...blobReferences(said.body)].some((reference) => reference.sha256 === sha256)) {
    throw new Wrong("copy_entry");
  }
  const body = canonicalBytes(said.body);
  if (body.length > MAX_BODY_BYTES)
    throw new Wrong("body_too_long", { size: body.length, limit: MAX_BODY_BYTES });
  checkCommitment(said.envelope, body, fromHex(said.salt));
  const own = parseKey(said.vkey);
  if (encodeKey(own) !== encodeKey(key)) throw new Wrong("copy_key");
  const checkpoint = await openCheckpoint(said.checkpoint, own);
  if (checkpoint.tree_size !== said.proof.tree_size) throw new Wrong("copy_size");
  checkInclusion(hashLeaf(said.envelope_bytes), said.proof, checkpoint.root);
}

/** An assertion, however it is spelt: those who sign it spell it anew. @param {Uint8Array} data */
function parseCredential(data) {
  const fields = parseLoosely(data);
  if (!isObject(fields)) throw new Wrong("copy_json");
  if (fields.format !== "proofcall-credential" || fields.version !== 1) throw new Wrong("copy_format");
  const { entry, sha256, checkpoint, vkey } = fields;
  if (namesOf(fields) !== FIELDS || !isObject(entry) || namesOf(entry) !== ENTRY_FIELDS) {
    throw new Wrong("copy_fields");
  }
  const { body, salt } = entry;
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) throw new Wrong("copy_hash");
  if (typeof checkpoint !== "string" || typeof vkey !== "string") throw new Wrong("copy_texts");
  if (!isObject(body)) throw new Wrong("copy_body");
  if (typeof salt !== "string" || !/^[0-9a-f]{64}$/.test(salt)) throw new Wrong("copy_salt", { digits: 64 });
  const envelope_bytes = canonicalBytes(entry.envelope);
  const envelope = parseEnvelope(envelope_bytes);
  const proof = parseProof(canonicalBytes(entry.proof));
  return { sha256, checkpoint, vkey, body, salt, envelope, envelope_bytes, proof };
}

/** @param {unknown} value @returns {value is Json} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {Json} object */
function namesOf(object) {
  return Object.keys(object).sort().join();
}

/** @param {Uint8Array} data @param {number} at @param {string} text */
function reads(data, at, text) {
  return Array.from(text).every((one, index) => data[at + index] === one.charCodeAt(0));
}

/** The picture without its JUMBF segments, and the manifest store that they carry. @param {Bytes} data */
function split(data) {
  if (!START.every((byte, index) => data[index] === byte)) throw new Wrong("copy_no_jpeg");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const picture = [data.subarray(0, START.length)];
  const store = [];
  let at = START.length;
  let expected = 1;
  while (at + SEGMENT_BYTES <= data.length) {
    const marker = data[at + 1];
    const length = view.getUint16(at + 2);
    const end = at + 2 + length;
    if (data[at] !== 0xff || marker === SCAN || length < 2 || end > data.length) break;
    const packet = data.subarray(at + SEGMENT_BYTES, end);
    if (marker === APP11 && reads(packet, 0, "JP") && packet.length >= PACKET_BYTES + BOX_BYTES) {
      if (view.getUint32(at + SEGMENT_BYTES + 4) !== expected) throw new Wrong("copy_order");
      store.push(packet.subarray(PACKET_BYTES + (expected === 1 ? 0 : BOX_BYTES)));
      expected += 1;
    } else picture.push(data.subarray(at, end));
    at = end;
  }
  picture.push(data.subarray(at));
  const whole = joined(store);
  if (whole.length > MAX_STORE_BYTES) throw new Wrong("copy_store");
  return { picture: joined(picture), store: whole };
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The content of each box `json`, with the label of the one that holds it. @param {Uint8Array} store */
function assertions(store) {
  /** @type {[string, Uint8Array][]} */
  const found = [];
  /** @type {[Uint8Array, number][]} */
  const waiting = [[store, 0]];
  let count = 0;
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [data, depth] = next;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    let label = "";
    for (let at = 0; at < data.length; ) {
      count += 1;
      if (count > MAX_BOXES || depth > MAX_DEPTH) throw new Wrong("boxes_many");
      if (at + BOX_BYTES > data.length) throw new Wrong("boxes_cut");
      const length = view.getUint32(at);
      if (length < BOX_BYTES || at + length > data.length) throw new Wrong("boxes_length");
      const content = data.subarray(at + BOX_BYTES, at + length);
      if (reads(data, at + 4, "jumb")) waiting.push([content, depth + 1]);
      else if (reads(data, at + 4, "jumd")) label = labelOf(content);
      else if (reads(data, at + 4, "json")) found.push([label, content]);
      at += length;
    }
  }
  return found;
}

/** @param {Uint8Array} description */
function labelOf(description) {
  if (description.length < DESCRIPTION_BYTES) throw new Wrong("boxes_description");
  if (((description[DESCRIPTION_BYTES - 1] ?? 0) & HAS_LABEL) === 0) return "";
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(description.subarray(DESCRIPTION_BYTES));
  return text.split("\0")[0] ?? "";
}
