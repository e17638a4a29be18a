// @ts-check
/**
 * Witnesses: whether others, outside the house, have signed a checkpoint too, and whether those who count did.
 *
 *     policy (C2SP tlog-policy): log, witness, group and quorum lines ─► keys ─► the quorum
 *     line (C2SP tlog-cosignature): — name base64(key hash ‖ time ‖ Ed25519 signature) ─► its time
 *
 * Pure. Texts that are none of these throw MalformedEvidence.
 */

import { ed25519Key, fromBase64, fromHex, MalformedEvidence, parseNote, same, sha256 } from "./evidence.js";

/** @typedef {{name: string, vkey: string, key_name: string, key_hash: Uint8Array<ArrayBuffer>, public_key: Uint8Array<ArrayBuffer>}} Witness */
/** @typedef {{name: string, threshold: number, members: string[]}} Group */
/** @typedef {{logs: string[], witnesses: Witness[], groups: Group[], quorum: string}} Policy */
/** @typedef {{name: string, key_hash: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>}} Line */

const NONE = "none"; // tlog-policy: "The special name none is predefined"
const LOG_KEY = 1; // C2SP signed-note, "Signature types"
const WITNESS_KEY = 4;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64; // RFC 8032 §5.1.6
const LAST_TIME_S = 253_402_300_799n; // the end of the year 9999, as far as the service reads a time
const utf8 = new TextEncoder();

/** @param {string} vkey @param {number} type @returns {Promise<Omit<Witness, "name">>} */
async function readKey(vkey, type) {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey);
  const bytes = fromBase64(match?.[3] ?? "");
  if (!match || bytes.length !== 33 || bytes[0] !== type) throw new MalformedEvidence("not such a key");
  const [, key_name = "", hash = ""] = match;
  const named = /** @type {Uint8Array<ArrayBuffer>} */ (utf8.encode(`${key_name}\n`));
  const key_hash = (await sha256(named, bytes)).slice(0, 4);
  if (!same(key_hash, fromHex(hash))) throw new MalformedEvidence("the key's hash does not fit it");
  return { vkey, key_name, key_hash, public_key: bytes.slice(1) };
}

/** @param {boolean} holds @param {string} message @returns {asserts holds} */
function claim(holds, message) {
  if (!holds) throw new MalformedEvidence(message);
}

/**
 * Reads a policy; throws MalformedEvidence.
 * @param {string} text
 * @returns {Promise<Policy>}
 */
export async function parsePolicy(text) {
  /** @type {Policy} */
  const policy = { logs: [], witnesses: [], groups: [], quorum: "" };
  const names = new Set([NONE]);
  const members = new Set();
  for (const line of text.split("\n")) {
    const [what, ...items] = line.split(/[ \t]+/).filter((item) => item !== "");
    if (what === undefined || what.startsWith("#")) continue;
    const [name = "", second = "", ...rest] = items;
    if (what === "log" && (items.length === 1 || items.length === 2)) {
      await readKey(name, LOG_KEY);
      policy.logs.push(name);
    } else if (what === "witness" && (items.length === 2 || items.length === 3)) {
      claim(!names.has(name), "a name is taken");
      names.add(name);
      policy.witnesses.push({ name, ...(await readKey(second, WITNESS_KEY)) });
    } else if (what === "group" && rest.length > 0) {
      for (const member of rest) {
        claim(member !== NONE && names.has(member) && !members.has(member), "a member that may not be one");
        members.add(member);
      }
      claim(!names.has(name), "a name is taken");
      names.add(name);
      const threshold = second === "any" ? 1 : second === "all" ? rest.length : Number(second);
      claim(/^(any|all|[1-9][0-9]*)$/.test(second) && threshold <= rest.length, "not a threshold");
      policy.groups.push({ name, threshold, members: rest });
    } else if (what === "quorum" && items.length === 1) {
      claim(policy.quorum === "" && names.has(name), "not a quorum");
      policy.quorum = name;
    } else {
      throw new MalformedEvidence("not a line of a policy");
    }
  }
  claim(policy.quorum !== "", "a policy without a quorum");
  return policy;
}

/** Whether these witnesses, by their names in the policy, make up its quorum. @param {Policy} policy @param {Iterable<string>} cosigners */
export function isQuorum({ groups, quorum }, cosigners) {
  const reached = new Set([NONE, ...cosigners]);
  for (const { name, threshold, members } of groups) {
    if (members.filter((member) => reached.has(member)).length >= threshold) reached.add(name);
  }
  return reached.has(quorum);
}

/** The lines of a file of cosignatures; throws MalformedEvidence. @param {string} text @returns {Line[]} */
export function parseCosignatures(text) {
  if (text === "") return [];
  claim(text.endsWith("\n"), "the last cosignature is cut off");
  return parseNote(`\n\n${text}`).signatures;
}

/** Whether a line means to be of this witness. @param {Line} line @param {Witness} witness */
export function isOf(line, witness) {
  return line.name === witness.key_name && same(line.key_hash, witness.key_hash);
}

/**
 * When a witness signed the text of a checkpoint, in POSIX seconds.
 * @param {Line} line
 * @param {string} text
 * @param {Witness} witness
 * @returns {Promise<number | false | null>} false when it did not, null when this browser knows no Ed25519
 */
export async function openCosignature({ signature }, text, witness) {
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return false;
  const time_s = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  if (time_s > LAST_TIME_S) return false;
  const key = await ed25519Key(witness.public_key);
  if (key === null) return null;
  const message = /** @type {Uint8Array<ArrayBuffer>} */ (
    utf8.encode(`cosignature/v1\ntime ${time_s}\n${text}`)
  );
  const holds = await crypto.subtle.verify({ name: "Ed25519" }, key, signature.slice(TIME_BYTES), message);
  return holds && Number(time_s);
}

/**
 * RFC 9162 §2.1.4.2, the verifier's algorithm, step by step: whether the older log is the beginning of the newer.
 * @param {{first: number, second: number, first_root: Uint8Array<ArrayBuffer>,
 *   second_root: Uint8Array<ArrayBuffer>, hashes: Uint8Array<ArrayBuffer>[]}} proof
 */
export async function consistencyHolds({ first, second, first_root, second_root, hashes }) {
  if (first > second) return false;
  if (first === 0 || first === second) {
    return hashes.length === 0 && same(first_root, first === 0 ? await sha256() : second_root);
  }
  const node = new Uint8Array([1]);
  // BigInt, because the shifts of a Number end at 32 bits.
  let fn = BigInt(first - 1);
  let sn = BigInt(second - 1);
  const path = (BigInt(first) & fn) === 0n ? [first_root, ...hashes] : hashes;
  while (fn & 1n) {
    fn >>= 1n;
    sn >>= 1n;
  }
  let [fr, ...rest] = path;
  if (hashes.length === 0 || fr === undefined) return false;
  let sr = fr;
  for (const c of rest) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      fr = await sha256(node, c, fr);
      sr = await sha256(node, c, sr);
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      sr = await sha256(node, sr, c);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && same(fr, first_root) && same(sr, second_root);
}
