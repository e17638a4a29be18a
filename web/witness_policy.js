// @ts-check
/**
 * The policy of witnesses (C2SP tlog-policy): whose cosignatures make a checkpoint more than its operator's word; and
 * their cosignatures (C2SP tlog-cosignature, Ed25519). Pure.
 *
 *     log <vkey> [<url>]                          checkpoints of these logs are meant; none: of any
 *     witness <name> <vkey> [<url>]
 *     group <name> <k, any or all> <name>...      at least k of these witnesses and groups
 *     quorum <name or none>                       exactly once: who must have cosigned
 */

import { textOf } from "./canonical.js";
import { same } from "./evidence.js";
import {
  ed25519Holds,
  encodeKey,
  KEY_HASH_BYTES,
  parseKey,
  parseSignatureLine,
  parseWitnessKey,
  readCheckpoint,
  splitNote,
} from "./package_entry.js";
import { attempt, Said, said, Wrong } from "./said.js";

/** @typedef {import("./package_entry.js").Key} Key */
/** @typedef {{name: string, key: Key}} Witness under the name that the policy gives it; its key has a name of its own */
/** @typedef {{name: string, threshold: number, members: string[]}} Group */
/** @typedef {{logs: Key[], witnesses: Witness[], groups: Group[], quorum: string}} Policy */
/** @typedef {[string, Uint8Array<ArrayBuffer>]} Line of a cosignature: the name of the key; its hash, a time, a signature */

const NONE = "none";
const MAX_OF_A_KIND = 64;
const MAX_CHARACTERS = 65_536;
const LINE_END = 0x0a;
const TIME_BYTES = 8; // "u64 timestamp"
const SIGNATURE_BYTES = 64; // RFC 8032 §5.1.6
const LAST_TIME_S = 253_402_300_799; // the end of the year 9999
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what may not stand in a policy
const FORBIDDEN = /[\x00-\x08\x0b-\x1f\x7f]/;

/** Raises Wrong, which names the line. @param {string} text @returns {Policy} */
export function parsePolicy(text) {
  if ([...text].length > MAX_CHARACTERS) throw new Wrong("policy_long", { limit: MAX_CHARACTERS });
  const reader = new Reader();
  for (const [index, line] of text.split("\n").entries()) {
    const problem = attempt(() => reader.read(line));
    if (problem instanceof Said) throw new Wrong("policy_line", { line: index + 1, what: problem });
  }
  return reader.policy();
}

class Reader {
  /** @type {Key[]} */
  #logs = [];
  /** @type {Witness[]} */
  #witnesses = [];
  /** @type {Group[]} */
  #groups = [];
  #names = new Set();
  #members = new Set();
  #quorum = "";

  /** @param {string} line */
  read(line) {
    if (FORBIDDEN.test(line)) throw new Wrong("policy_control");
    const items = line.split(/[ \t]+/).filter((item) => item !== "");
    const [what = "#", ...rest] = items;
    if (what.startsWith("#")) return;
    const [name = "", second = "", ...members] = rest;
    if (what === "log" && (rest.length === 1 || rest.length === 2)) this.#addLog(name);
    else if (what === "witness" && (rest.length === 2 || rest.length === 3)) this.#addWitness(name, second);
    else if (what === "group" && members.length > 0) this.#addGroup(name, second, members);
    else if (what === "quorum" && rest.length === 1) this.#setQuorum(name);
    else throw new Wrong("policy_rule");
  }

  policy() {
    if (this.#quorum === "") throw new Wrong("policy_no_quorum");
    return { logs: this.#logs, witnesses: this.#witnesses, groups: this.#groups, quorum: this.#quorum };
  }

  /** @param {string} vkey */
  #addLog(vkey) {
    const key = parseKey(vkey);
    if (this.#logs.some((log) => same(log.public_key, key.public_key))) throw new Wrong("policy_twice");
    checkRoom(this.#logs);
    this.#logs.push(key);
  }

  /** @param {string} name @param {string} vkey */
  #addWitness(name, vkey) {
    const key = parseWitnessKey(vkey);
    if (this.#witnesses.some((witness) => same(witness.key.public_key, key.public_key))) {
      throw new Wrong("policy_twice");
    }
    checkRoom(this.#witnesses);
    this.#define(name);
    this.#witnesses.push({ name, key });
  }

  /** @param {string} name @param {string} threshold @param {string[]} members */
  #addGroup(name, threshold, members) {
    for (const member of members) {
      if (!this.#names.has(member)) throw new Wrong("policy_undefined", { name: member });
      if (this.#members.has(member)) throw new Wrong("policy_member", { name: member });
      this.#members.add(member);
    }
    const counted = /^[1-9][0-9]{0,3}$/.test(threshold) && Number(threshold) <= members.length;
    if (threshold !== "any" && threshold !== "all" && !counted) {
      throw new Wrong("policy_threshold", { count: members.length });
    }
    checkRoom(this.#groups);
    this.#define(name);
    const count = threshold === "any" ? 1 : threshold === "all" ? members.length : Number(threshold);
    this.#groups.push({ name, threshold: count, members });
  }

  /** @param {string} name */
  #setQuorum(name) {
    if (this.#quorum !== "") throw new Wrong("policy_quorums");
    if (name !== NONE && !this.#names.has(name)) throw new Wrong("policy_undefined", { name });
    this.#quorum = name;
  }

  /** @param {string} name */
  #define(name) {
    if (name === NONE || this.#names.has(name)) throw new Wrong("policy_taken", { name });
    this.#names.add(name);
  }
}

/** @param {readonly unknown[]} list */
function checkRoom(list) {
  if (list.length >= MAX_OF_A_KIND) throw new Wrong("policy_many", { limit: MAX_OF_A_KIND });
}

/** Why these keys, all of which did cosign, do not make up the quorum; null if they do. @param {Policy} policy @param {readonly Key[]} cosigners @returns {Said | null} */
export function shortOfQuorum(policy, cosigners) {
  if (policy.quorum === NONE) return null;
  const signed = namesOf(policy, cosigners);
  const reached = new Set(signed);
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => reached.has(member)).length >= threshold) reached.add(name);
  }
  if (reached.has(policy.quorum)) return null;
  const group = policy.groups.find(({ name }) => name === policy.quorum);
  const asked = group
    ? said("quorum_group", { threshold: group.threshold, members: group.members })
    : said("quorum_witness", { name: policy.quorum });
  const counted =
    signed.length === 0
      ? said("quorum_nobody")
      : said("quorum_some", { names: signed, count: signed.length });
  return said("quorum_short", { asked, counted });
}

/** By the names that the policy gives them. @param {Policy} policy @param {readonly Key[]} keys */
export function namesOf(policy, keys) {
  return policy.witnesses.filter(({ key }) => keys.includes(key)).map(({ name }) => name);
}

/** Why the policy is about other logs than that of this key; null if it is not. @param {Policy} policy @param {Key} key @returns {Said | null} */
export function ofOtherLogs({ logs }, key) {
  const vkey = encodeKey(key);
  return logs.length === 0 || logs.some((log) => encodeKey(log) === vkey)
    ? null
    : said("policy_other_logs", { vkey });
}

/** The lines of a file of cosignatures, without their line ends, and who each is of. @param {Uint8Array} data @returns {Line[]} */
export function splitCosignatures(data) {
  if (data.length === 0) return [];
  if (data.at(-1) !== LINE_END) throw new Wrong("cosignatures_cut");
  /** @type {Line[]} */
  const lines = [];
  for (let begin = 0; begin < data.length; ) {
    const end = data.indexOf(LINE_END, begin);
    const text = textOf(data.subarray(begin, end));
    if (text === null) throw new Wrong("cosignature_utf");
    const parsed = attempt(() => parseSignatureLine(text));
    if (parsed instanceof Said) throw new Wrong("cosignature_line", { what: parsed });
    lines.push(parsed);
    begin = end + 1;
  }
  return lines;
}

/**
 * The witnesses of the policy that cosigned the note. Of a line that only seems theirs `onWrong` is told; without it,
 * such a line is raised.
 * @param {readonly Line[]} lines
 * @param {string} note
 * @param {Policy} policy
 * @param {(wrong: Wrong) => void} [onWrong]
 */
export async function cosignersOf(lines, note, policy, onWrong) {
  /** @type {Key[]} */
  const cosigners = [];
  for (const [name, signature] of lines) {
    for (const { key } of policy.witnesses) {
      if (name !== key.name || !same(signature.subarray(0, KEY_HASH_BYTES), key.key_hash)) continue;
      try {
        await checkCosignature(name, signature.slice(KEY_HASH_BYTES), note, key);
        cosigners.push(key);
      } catch (error) {
        if (!(error instanceof Wrong) || !onWrong) throw error;
        onWrong(error);
      }
    }
  }
  return cosigners;
}

/** @param {string} name @param {Uint8Array<ArrayBuffer>} timestamped @param {string} note @param {Key} key */
async function checkCosignature(name, timestamped, note, key) {
  if (timestamped.length !== TIME_BYTES + SIGNATURE_BYTES) throw new Wrong("cosignature_size", { name });
  const time_s = new DataView(timestamped.buffer, timestamped.byteOffset).getBigUint64(0);
  if (time_s > BigInt(LAST_TIME_S)) throw new Wrong("cosignature_time", { name });
  const parsed = attempt(() => {
    readCheckpoint(note);
    return splitNote(note).text;
  });
  if (parsed instanceof Said) throw new Wrong("cosignature_note", { name, what: parsed });
  const signed = new TextEncoder().encode(`cosignature/v1\ntime ${time_s}\n${parsed}`);
  if (!(await ed25519Holds(key.public_key, timestamped.slice(TIME_BYTES), signed))) {
    throw new Wrong("cosignature_other", { name });
  }
}
