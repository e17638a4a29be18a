// @ts-check
/**
 * A package, checked here and not asked from anybody: the numbered steps of `proofcall verify`, with its names,
 * outcomes and findings.
 *
 *     file ─► 1 container ─► 2 contents ─► 3 checkpoint ─► 4 … 8 entries, proofs, bodies, pictures, completeness
 *     ─► 9 frames and journal, 10 key, 11 history, 12 time, 13 witnesses, 14 content credentials: what a package alone
 *     cannot show is named ─► 15 what was erased
 *
 * A failure does not end the walk. Memory is bounded by the entries: pictures and segments are read where they lie.
 */

import { checkTimes, checkWitnesses } from "./attested.js";
import { parseCanonicalObject } from "./canonical.js";
import { canonicalBytes, same } from "./evidence.js";
import {
  CUSTODY_FILE,
  CUSTODY_KINDS,
  checkCustody,
  checkErasure,
  checkPlayback,
  covers,
  PLAYBACK_FILE,
  PLAYBACK_INDEX,
  readErased,
  uncompared,
} from "./package_derived.js";
import {
  checkCommitment,
  checkInclusion,
  checkSuccessor,
  encodeKey,
  FIRST_PREVIOUS_HASH,
  hashLeaf,
  openCheckpoint,
  parseBody,
  parseCheckpointFile,
  parsed,
  parseEnvelope,
  parseKeyFile,
  parseProof,
  readCheckpoint,
} from "./package_entry.js";
import { blobReferences, checkFrames, entryFolder } from "./package_frames.js";
import { compareHistories, KnownTree } from "./package_history.js";
import { KEYS_FILE, keyAt, MAX_KEYS_BYTES, readHistory } from "./package_keys.js";
import { checkCopy } from "./picture_credential.js";
import { attempt, CannotBeMade, Said, said, Wrong } from "./said.js";
import {
  Failed,
  findDocument,
  isVoucher,
  MAX_PDF_BYTES,
  MAX_VOUCHER_BYTES,
  parseDocument,
} from "./voucher_check.js";
import { parsePolicy } from "./witness_policy.js";
import { readContainer, Source } from "./zip_container.js";

/** @typedef {import("./canonical.js").Json} Json */
/** @typedef {import("./package_entry.js").Checkpoint} Checkpoint */
/** @typedef {import("./package_entry.js").Envelope} Envelope */
/** @typedef {import("./package_frames.js").BlobReference} BlobReference */
/** @typedef {import("./zip_container.js").Content} Content */
/** @typedef {import("./zip_container.js").Reading} Reading */
/** @typedef {{said: Said, member: string | null, entry: number | null}} Finding what is wrong, and where */
/** @typedef {"passed" | "failed" | "cannot_be_made"} Outcome */
/** @typedef {(typeof STEPS)[number]} StepName */
/** @typedef {{number: number, name: StepName, outcome: Outcome, message: Said, findings: Finding[],
 *   unmade: Finding[]}} Step */
/** @typedef {import("./package_trust.js").Trust} Trust */
/** @typedef {{case_id: string | null, entries: number, tree_size: number | null, vkey: string | null, steps: Step[],
 *   passed: boolean, unshown_pictures: number[], pack: Package}} Report */
/** @typedef {{message: Said, findings: Finding[]}} Result */
/** @typedef {import("./attested.js").Checked} Checked */

/** In the order of their numbers, from 1. */
export const STEPS = /** @type {const} */ ([
  "container",
  "contents",
  "checkpoint",
  "entries",
  "inclusion",
  "bodies",
  "blobs",
  "completeness",
  "frames",
  "key",
  "history",
  "time",
  "witnesses",
  "credentials",
  "erasure",
]);
export const INNER_STEPS = 8; // the steps after them need more than the package
export const FRAMES_STEP = 9;
const MANIFEST_BYTES = 1 << 20; // a manifest may have so many, so that it can name files that are missing,
const MANIFEST_BYTES_A_FILE = 300; // and for each file that is there so many more: no record is longer
const INDEX_BYTES_AN_ENTRY = 300; // likewise, of the index of playback
const MAX_CUSTODY_BYTES = 64 << 20;
const MAX_INDEX_BYTES = 16 << 20;
const MAX_POLICY_BYTES = 65_536;
const MAX_COPY_BYTES = 64 << 20;
const ZIP_BEGINS = new TextEncoder().encode("PK"); // APPNOTE 4.3.7: whatever else begins a file, it is no package
const FORMAT = "proofcall-package";
const NEWEST_VERSION = 3;
const DERIVED_VERSION = 3; // the first that holds more than entries and blobs
/** The text of each version: a package says which it is, and carries that text to the byte. @type {Record<number, string>} */
export const README_SHA256 = {
  1: "b51c83e2598aed677c92f88468a32b74068d9f577fef428842cb2e46a90d318b",
  2: "3bd6c5cb784cf8786875c1acfcab3e3efc5d897bdf55013eca1ebc73def3b499",
  3: "a5d0a6665fcea128be7c2b67ffff43b7b799cdd05ec4c946cf656ecdc0ff7b83",
};
const ENTRY_FILE =
  /^entries\/(?!000000)([0-9]{6}|[1-9][0-9]{6,8})\/(envelope\.json|body\.json|salt|proof\.json)$/;
const BLOB_FILE = /^blobs\/([0-9a-f]{64})$/;
const ATTESTED_FILE =
  /^attested\/([1-9][0-9]{0,14})\/(checkpoint|consistency\.json|cosignatures|timestamp-[1-9][0-9]{0,3}\.der)$/;
const CREDENTIALS_FILE = /^credentials\/([0-9a-f]{64})\.jpg$/;
const FIXED_FILES = ["README.txt", "checkpoint", "manifest.json", "vkey"];
const OPTIONAL_FILES = [
  PLAYBACK_INDEX,
  "certificates.pem",
  "check.html",
  KEYS_FILE,
  "policy.txt",
  "report.en.pdf",
  "report.zh.pdf",
  "verify.pyz",
];

/** The names of the files that every package of a version holds. @param {number} version */
function requiredFiles(version) {
  return version < DERIVED_VERSION ? FIXED_FILES : [...FIXED_FILES, CUSTODY_FILE];
}

/** Whether a file of this name, which is none of an entry, may be in a package of a version. @param {string} name @param {number} version */
function isPackageFile(name, version) {
  if (FIXED_FILES.includes(name) || BLOB_FILE.test(name)) return true;
  if (version < DERIVED_VERSION) return false;
  const patterns = [ATTESTED_FILE, CREDENTIALS_FILE, PLAYBACK_FILE];
  return (
    OPTIONAL_FILES.includes(name) || name === CUSTODY_FILE || patterns.some((pattern) => pattern.test(name))
  );
}

/** The files of one entry, parsed; what is said stands for what is wrong with one. */
export class Part {
  /** @type {BlobReference[]} */
  references = [];

  /** @param {number} number @param {Map<string, Content>} files @param {Checkpoint | Said} checkpoint */
  constructor(number, files, checkpoint) {
    this.number = number;
    this.envelope_file = files.get("envelope.json");
    this.body_file = files.get("body.json");
    this.salt_file = files.get("salt");
    this.envelope = parsed(parseEnvelope, this.envelope_file);
    this.body = parsed(parseBody, this.body_file);
    if (!(this.body instanceof Said)) this.references = [...blobReferences(this.body)];
    this.proof_file = files.get("proof.json");
    this.place = this.#prove(this.proof_file, checkpoint);
  }

  /** Its leaf index, or why it is not shown to be a leaf. @param {Content | undefined} proof_file @param {Checkpoint | Said} checkpoint */
  #prove(proof_file, checkpoint) {
    if (checkpoint instanceof Said) return said("checkpoint_unread");
    const file = this.envelope_file;
    if (!file) return said("envelope_missing");
    const { bytes } = file;
    if (!bytes) return said("envelope_long", { size: file.size });
    return parsed((data) => {
      const proof = parseProof(data);
      if (proof.tree_size !== checkpoint.tree_size) throw new Wrong("proof_size");
      checkInclusion(hashLeaf(bytes), proof, checkpoint.root);
      return proof.leaf_index;
    }, proof_file);
  }

  /** The proof of its place, once that is shown. @returns {import("./package_history.js").Shown | null} */
  get shown() {
    const { bytes } = this.envelope_file ?? {};
    const proof = parsed(parseProof, this.proof_file);
    if (this.place instanceof Said || proof instanceof Said || !bytes) return null;
    return { leaf_index: this.place, leaf_hash: hashLeaf(bytes), hashes: proof.hashes };
  }

  /** Whether body and salt are both not there: then they should have been erased. */
  get missing() {
    return !this.body_file && !this.salt_file;
  }

  /** A finding at a file of this entry's folder, or at a blob that it names. @param {string} file @param {Said} what @returns {Finding} */
  finding(file, what) {
    const member = file.startsWith("blobs/") ? file : entryFolder(this.number) + file;
    return { said: said("of_entry", { entry: this.number, what }), member, entry: this.number };
  }
}

/** The members of a package, parsed as far as they go. */
export class Package {
  /** @type {Map<number, Part>} */
  parts = new Map();
  /** Files that are no part of any package. @type {Set<string>} */
  foreign = new Set();
  /** SHA-256 of a blob: the first entry that names it. @type {Map<string, number>} */
  holders = new Map();
  /** @type {import("./package_derived.js").Erasure[]} */
  erasures = [];
  /** @type {string | null} */
  case_id = null;

  /** @param {Map<string, Content>} members @param {number} version */
  constructor(members, version) {
    this.members = members;
    this.version = version;
    this.note = new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      members.get("checkpoint")?.bytes ?? undefined,
    );
    this.checkpoint = parsed(parseCheckpointFile, members.get("checkpoint"));
    this.key = parsed(parseKeyFile, members.get("vkey"));
    /** @type {Map<number, Map<string, Content>>} */
    const files = new Map();
    for (const [name, content] of members) {
      const place = ENTRY_FILE.exec(name);
      if (place) {
        const number = Number(place[1]);
        const folder = files.get(number) ?? new Map();
        files.set(number, folder.set(place[2], content));
      } else if (!isPackageFile(name, version)) this.foreign.add(name);
    }
    /** @type {Map<string, number>} */
    const case_ids = new Map();
    for (const number of [...files.keys()].sort((a, b) => a - b)) {
      const part = new Part(number, files.get(number) ?? new Map(), this.checkpoint);
      this.parts.set(number, part);
      for (const { sha256 } of part.references) {
        if (!this.holders.has(sha256)) this.holders.set(sha256, number);
      }
      if (part.envelope instanceof Said) continue;
      const erasure = part.body instanceof Said ? null : readErased(part.envelope, part.body);
      if (erasure) this.erasures.push(erasure);
      const { case_id } = part.envelope;
      case_ids.set(case_id, (case_ids.get(case_id) ?? 0) + 1);
    }
    // A single damaged envelope must not rename the case.
    for (const [case_id, count] of case_ids) {
      if (this.case_id === null || count > (case_ids.get(this.case_id) ?? 0)) this.case_id = case_id;
    }
  }

  /** Whether body and salt of an entry are missing, and another entry says that they were erased. @param {Part} part */
  erased({ envelope, missing }) {
    if (!missing || envelope instanceof Said) return false;
    return this.erasures.some((erasure) => covers(erasure, envelope));
  }

  /** The keys of the log as far as the package shows them; null if it shows that wrongly, or cannot be read. Raises CannotBeMade. @returns {Promise<import("./package_keys.js").KeyHistory | null>} */
  async history() {
    const { key, checkpoint } = this;
    if (key instanceof Said || checkpoint instanceof Said) return null;
    const content = this.foreign.has(KEYS_FILE) ? undefined : this.members.get(KEYS_FILE);
    if (!content) return { ends: [], keys: [key] };
    try {
      return await readHistory(await content.head(MAX_KEYS_BYTES + 1), key, checkpoint);
    } catch (error) {
      if (error instanceof Wrong) return null;
      throw error;
    }
  }

  get tree_size() {
    return this.checkpoint instanceof Said ? null : this.checkpoint.tree_size;
  }

  /** @param {string} name */
  async hashOf(name) {
    return (await this.members.get(name)?.hash()) ?? "";
  }

  /** The file with this hash; null if it is missing or another one. @param {string} sha256 */
  async sealedBlob(sha256) {
    const content = this.members.get(`blobs/${sha256}`);
    return content && (await content.hash()) === sha256 ? content : null;
  }

  /** A finding at a file, with the entry that the file belongs to, if it belongs to one. @param {string} member @param {Said} what @returns {Finding} */
  finding(member, what) {
    const place = ENTRY_FILE.exec(member);
    const blob = BLOB_FILE.exec(member);
    const entry = place ? Number(place[1]) : ((blob && this.holders.get(blob[1] ?? "")) ?? null);
    return { said: entry === null ? what : said("of_entry", { entry, what }), member, entry };
  }
}

/**
 * @param {Blob} file
 * @param {Trust} trust
 * @param {(read_bytes: number) => void} [onProgress]
 * @returns {Promise<Report>}
 */
export async function checkPackage(file, trust, onProgress) {
  const reading = await readContainer(new Source(file, onProgress));
  const members = await chooseMembers(reading);
  const pack = new Package(members, await versionOf(members));
  /** @returns {Promise<Checked>} */
  const frames = async () => {
    const checked = checkFrames(
      [...pack.parts.values()].flatMap(({ envelope, body }) =>
        envelope instanceof Said || body instanceof Said ? [] : [{ envelope, body }],
      ),
      [...pack.parts.values()].flatMap((part) =>
        part.envelope instanceof Said || !pack.erased(part) ? [] : [part.envelope],
      ),
    );
    return { ...checked, passed: checked.unmade.length === 0 };
  };
  /** @type {Record<StepName, () => Promise<Result | Checked>>} */
  const checks = {
    container: () => checkContainer(pack, reading),
    contents: () => checkContents(pack),
    checkpoint: () => checkCheckpoint(pack),
    entries: () => checkEntries(pack),
    inclusion: async () => checkPlaces(pack),
    bodies: async () => checkBodies(pack),
    blobs: () => checkBlobs(pack),
    completeness: async () => checkCompleteness(pack),
    frames,
    ...checksOfTrust(pack, trust),
    history: async () => checkHistory(pack, null),
    credentials: () => checkCredentials(pack),
    erasure: async () => checkErased(pack),
  };
  /** @type {Step[]} */
  const steps = [];
  for (const [index, name] of STEPS.entries()) steps.push(await perform(index + 1, name, checks[name]));
  return {
    case_id: pack.case_id,
    entries: pack.parts.size,
    tree_size: pack.tree_size,
    vkey: pack.key instanceof Said ? null : encodeKey(pack.key),
    steps,
    passed: verdictOf(steps),
    unshown_pictures: unshownPictures(steps),
    pack,
  };
}

/** The steps in which it counts whom one trusts. @param {Package} pack @param {Trust} trust */
function checksOfTrust(pack, trust) {
  return {
    key: async () => checkKey(pack, trust),
    time: async () => checkTimes(await outsideOf(pack), ownRoots(pack, trust)),
    witnesses: async () => checkWitnesses(await outsideOf(pack), trust.policy, await ownPolicy(pack)),
  };
}

/** The same report for whom somebody trusts: the rest of the file need not be read again. @param {Report} report @param {Trust} trust @returns {Promise<Report>} */
export async function withTrust(report, trust) {
  /** @type {Partial<Record<StepName, () => Promise<Result | Checked>>>} */
  const checks = checksOfTrust(report.pack, trust);
  /** @type {Step[]} */
  const steps = [];
  for (const step of report.steps) {
    const check = checks[step.name];
    steps.push(check ? await perform(step.number, step.name, check) : step);
  }
  return { ...report, steps, passed: verdictOf(steps) };
}

/** The same report with another file of the same log: a checkpoint, a package, or a voucher. @param {Report} report @param {Blob | null} other @returns {Promise<Report>} */
export async function withOther(report, other) {
  /** @type {Step[]} */
  const steps = [];
  for (const step of report.steps) {
    const is_history = step.name === "history";
    steps.push(
      is_history ? await perform(step.number, step.name, () => checkHistory(report.pack, other)) : step,
    );
  }
  return { ...report, steps, passed: verdictOf(steps) };
}

/** A step passes if nothing is wrong; one of which parts may be impossible, if somebody who is trusted said something. @param {number} number @param {StepName} name @param {() => Promise<Result | Checked>} check @returns {Promise<Step>} */
async function perform(number, name, check) {
  /** @type {Result | Checked} */
  let result;
  try {
    result = await check();
  } catch (error) {
    if (!(error instanceof CannotBeMade)) throw error;
    return { number, name, outcome: "cannot_be_made", message: error.said, findings: [], unmade: [] };
  }
  const { message, findings } = result;
  const unmade = "unmade" in result ? result.unmade : [];
  const [first] = findings;
  if (first) return { number, name, outcome: "failed", message: first.said, findings, unmade };
  const passed = "passed" in result ? result.passed : true;
  return { number, name, outcome: passed ? "passed" : "cannot_be_made", message, findings, unmade };
}

/** All steps inside the package were made and passed, and none after them failed. @param {readonly Step[]} steps */
export function verdictOf(steps) {
  return steps.every(
    ({ outcome, number }) => outcome === "passed" || (number > INNER_STEPS && outcome === "cannot_be_made"),
  );
}

/** @type {readonly StepName[]} */
const COMPARED_STEPS = ["key", "history", "time", "witnesses"];

/** Whether nothing is wrong but with what somebody compares it with, or others said of the log. @param {readonly Step[]} steps */
export function withinHolds(steps) {
  return steps.every(
    ({ name, number, outcome }) =>
      outcome === "passed" ||
      COMPARED_STEPS.includes(name) ||
      (outcome === "cannot_be_made" && number > INNER_STEPS),
  );
}

/** How many time stamps are there whose signatures this page cannot check. @param {Report} report */
export function uncheckedTokens({ steps }) {
  const unmade = steps.filter(({ name }) => name === "time").flatMap((step) => step.unmade);
  return unmade.filter(({ said: { values } }) => {
    return values.what instanceof Said && values.what.code === "token_unchecked";
  }).length;
}

/** The entries whose pictures nobody has shown to come from the stream. @param {readonly Step[]} steps */
function unshownPictures(steps) {
  const entries = steps
    .filter(({ number }) => number === FRAMES_STEP)
    .flatMap(({ unmade }) => unmade.flatMap(({ entry }) => (entry === null ? [] : [entry])));
  return [...new Set(entries)].sort((a, b) => a - b);
}

/** The files of a container; of a damaged one, in the reading that its manifest agrees with. @param {Reading} reading */
async function chooseMembers(reading) {
  const in_order = new Map(reading.in_order);
  const by_directory = new Map(reading.by_directory);
  if (reading.damage === null) return in_order;
  const listed = await listedNames(in_order);
  if (listed.join("\n") === [...in_order.keys()].sort().join("\n")) return in_order;
  return by_directory.size >= in_order.size ? by_directory : in_order;
}

/** The names of all files as the manifest lists them, itself included. @param {Map<string, Content>} members */
async function listedNames(members) {
  const manifest = await readManifest(members);
  return ["manifest.json", ...recordsOf(manifest instanceof Said ? {} : manifest).keys()].sort();
}

/** @param {Map<string, Content>} members @returns {Promise<Json | Said>} */
async function readManifest(members) {
  const content = members.get("manifest.json");
  if (!content) return said("file_missing");
  const { size } = content;
  if (size > MANIFEST_BYTES + MANIFEST_BYTES_A_FILE * members.size) return said("file_too_long", { size });
  const whole = await content.head(size);
  return attempt(() => parseCanonicalObject(whole));
}

/** The files that a manifest lists, by name; what is malformed is left out. @param {Json} manifest */
function recordsOf(manifest) {
  const { files } = manifest;
  /** @type {Map<string, Json>} */
  const records = new Map();
  for (const record of Array.isArray(files) ? files : []) {
    if (typeof record?.name === "string" && !Array.isArray(record)) records.set(record.name, record);
  }
  return records;
}

/** @param {string[]} names @returns {string | undefined} the first of those that come most often */
function mostCommon(names) {
  const count = (/** @type {string} */ name) => names.filter((other) => other === name).length;
  return names.reduce(
    (/** @type {string | undefined} */ best, name) =>
      best === undefined || count(name) > count(best) ? name : best,
    undefined,
  );
}

/** @param {Package} pack @param {Reading} reading @returns {Promise<Result>} */
async function checkContainer(pack, { damage }) {
  const message = said("container_passed", { files: pack.members.size });
  if (damage === null) return { message, findings: [] };
  if (damage.index === null) {
    return { message, findings: [{ said: damage.message, member: null, entry: null }] };
  }
  // Header, directory and manifest each say what this file is called: at most one of them is damaged.
  const listed = (await listedNames(pack.members))[damage.index];
  const name =
    mostCommon([...damage.names, ...(listed === undefined ? [] : [listed])]) ??
    said("nameless", { number: damage.index + 1 });
  const what = said("at_file", { name, what: damage.message });
  // A file without a name is called by its place, in the language of the program.
  const member = name instanceof Said ? `file ${damage.index + 1} of the zip` : name;
  return { message, findings: [pack.finding(member, what)] };
}

/** @param {Package} pack @returns {Promise<Result>} */
async function checkContents(pack) {
  const message = said("contents_passed");
  const { members } = pack;
  const { version } = pack;
  const required = requiredFiles(version);
  const manifest_content = members.get("manifest.json");
  /** @type {[string, string, number][]} */
  const files = [];
  for (const name of [...members.keys()].sort()) {
    files.push([name, await pack.hashOf(name), members.get(name)?.size ?? 0]);
  }
  const due = encodeManifest(files, pack.case_id, pack.tree_size, version);
  const as_it_should_be =
    manifest_content?.size === due.length && same(await manifest_content.head(due.length), due);
  const text_is_ours = (await pack.hashOf("README.txt")) === README_SHA256[version];
  if (as_it_should_be && pack.foreign.size === 0 && text_is_ours) {
    const missing = required.filter((name) => !members.has(name)).sort();
    return {
      message,
      findings: missing.map((name) => pack.finding(name, said("member_missing", { name }))),
    };
  }
  const manifest = await readManifest(members);
  /** @param {Said} what */
  const at_manifest = (what) => ({
    message,
    findings: [pack.finding("manifest.json", said("at_file", { name: "manifest.json", what }))],
  });
  if (manifest instanceof Said) return at_manifest(manifest);
  if (manifest.format !== FORMAT || manifest.version !== version) return at_manifest(said("format_unknown"));
  const records = recordsOf(manifest);
  /** @type {Finding[]} */
  const findings = [];
  for (const name of [...new Set([...records.keys(), ...members.keys(), ...required])].sort()) {
    const content = members.get(name);
    const record = records.get(name);
    const found = (/** @type {string} */ code) => findings.push(pack.finding(name, said(code, { name })));
    if (!content) found("member_missing");
    else if (pack.foreign.has(name)) found("member_foreign");
    else if (name === "manifest.json") continue;
    else if (!record) found("member_unlisted");
    else if (!isRecordOf(record, name, await content.hash(), content.size)) found("member_other");
    else if (name === "README.txt" && !text_is_ours) found("readme_other");
  }
  if (findings.length === 0) {
    findings.push(pack.finding("manifest.json", said("manifest_other", { name: "manifest.json" })));
  }
  return { message, findings };
}

/** @param {Json} record @param {string} name @param {string} sha256 @param {number} size */
function isRecordOf(record, name, sha256, size) {
  const names = Object.keys(record).sort();
  const whole = names.length === 3 && names.join() === "name,sha256,size_bytes";
  return whole && record.name === name && record.sha256 === sha256 && record.size_bytes === size;
}

/** Which version of the format a manifest claims to be; the newest, if none that is known. @param {Map<string, Content>} members */
async function versionOf(members) {
  const end = new TextDecoder().decode(await members.get("manifest.json")?.tail('"version":99}'.length));
  const known = Object.keys(README_SHA256).map(Number);
  return known.find((version) => end.endsWith(`"version":${version}}`)) ?? NEWEST_VERSION;
}

/** @param {[string, string, number][]} files @param {string | null} case_id @param {number | null} tree_size @param {number} version */
function encodeManifest(files, case_id, tree_size, version) {
  const listed = files.filter(([name]) => name !== "manifest.json");
  const records = listed.map(
    ([name, sha256, size]) => `{"name":"${name}","sha256":"${sha256}","size_bytes":${size}}`,
  );
  const blobs = listed.filter(([name]) => name.startsWith("blobs/")).length;
  const entries = listed.filter(([name]) => name.endsWith("/envelope.json")).length;
  return new TextEncoder().encode(
    `{"blobs":${blobs},"case_id":"${case_id ?? "None"}","entries":${entries},"files":[${records.join(",")}],` +
      `"format":"${FORMAT}","tree_size":${tree_size ?? "None"},"version":${version}}`,
  );
}

/** @param {Package} pack @returns {Promise<Result>} */
async function checkCheckpoint(pack) {
  const { key, checkpoint } = pack;
  /** @type {Finding[]} */
  const findings = [];
  if (key instanceof Said) findings.push(pack.finding("vkey", said("at_file", { name: "vkey", what: key })));
  if (checkpoint instanceof Said) {
    findings.push(pack.finding("checkpoint", said("at_file", { name: "checkpoint", what: checkpoint })));
  }
  if (key instanceof Said || checkpoint instanceof Said) return { message: said("nothing"), findings };
  try {
    await openCheckpoint(pack.note, key);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    findings.push(pack.finding("checkpoint", error.said));
  }
  if ((await pack.history()) === null) {
    findings.push(pack.finding(KEYS_FILE, said("keys_other", { name: KEYS_FILE })));
  }
  return { message: said("checkpoint_passed", { name: key.name, size: checkpoint.tree_size }), findings };
}

/** @param {Package} pack @returns {Promise<Result>} */
async function checkEntries(pack) {
  const { case_id } = pack;
  if (case_id === null) throw new CannotBeMade("no_envelope");
  /** @type {Finding[]} */
  const findings = [];
  let due = 1;
  let previous_hash = FIRST_PREVIOUS_HASH;
  for (const [number, part] of pack.parts) {
    if (number > due) {
      const what = said("entries_missing", { first: due, last: number - 1 });
      findings.push({ said: what, member: null, entry: due });
    }
    const { envelope } = part;
    if (envelope instanceof Said) findings.push(part.finding("envelope.json", envelope));
    else {
      // After a hole there is nothing that the previous hash could be compared with.
      const expected = number === due && previous_hash ? previous_hash : envelope.previous_hash;
      const problem = attempt(() => {
        checkSuccessor(envelope, { case_id, number, previous_hash: expected });
      });
      if (problem instanceof Said) findings.push(blame(pack, part).finding("envelope.json", problem));
    }
    previous_hash = (await part.envelope_file?.hash()) ?? "";
    due = number + 1;
  }
  return { message: said("entries_passed", { count: due - 1 }), findings };
}

/** Which of two neighbours that do not belong together was changed: the one that the log never held. @param {Package} pack @param {Part} part */
function blame(pack, part) {
  const before = pack.parts.get(part.number - 1);
  return before && before.place instanceof Said && !(part.place instanceof Said) ? before : part;
}

/** @param {Package} pack @returns {Result} */
function checkPlaces(pack) {
  if (pack.parts.size === 0) throw new CannotBeMade("no_entry");
  if (pack.checkpoint instanceof Said) throw new CannotBeMade("checkpoint_unread");
  /** @type {Finding[]} */
  const findings = [];
  let last_leaf_index = -1;
  for (const part of pack.parts.values()) {
    const { place } = part;
    if (place instanceof Said) findings.push(part.finding("proof.json", place));
    else {
      if (place <= last_leaf_index) findings.push(part.finding("proof.json", said("place_order")));
      last_leaf_index = place;
    }
  }
  return { message: said("inclusion_passed", { count: pack.parts.size }), findings };
}

/** @param {Package} pack @returns {Result} */
function checkBodies(pack) {
  if (pack.parts.size === 0) throw new CannotBeMade("no_entry");
  /** @type {Finding[]} */
  const findings = [];
  let erased = 0;
  for (const part of pack.parts.values()) {
    const { envelope, body, body_file, salt_file } = part;
    if (envelope instanceof Said) findings.push(part.finding("envelope.json", said("commitment_unread")));
    else if (pack.erased(part)) erased += 1;
    else if (!body_file || !salt_file) findings.push(part.finding("body.json", said("body_missing")));
    else if (!body_file.bytes || !salt_file.bytes)
      findings.push(part.finding("body.json", said("body_long")));
    else {
      const body_bytes = body_file.bytes;
      const salt = salt_file.bytes;
      const problem = attempt(() => checkCommitment(envelope, body_bytes, salt));
      if (problem instanceof Said) findings.push(part.finding("body.json", problem));
      else if (body instanceof Said) findings.push(part.finding("body.json", body));
    }
  }
  return { message: said("bodies_passed", { count: pack.parts.size - erased, erased }), findings };
}

/** @param {Package} pack @returns {Promise<Checked>} */
async function checkBlobs(pack) {
  /** @type {Finding[]} */
  const findings = [];
  const held = new Set();
  for (const part of pack.parts.values()) {
    if (part.body instanceof Said && !pack.erased(part)) {
      findings.push(part.finding("body.json", said("names_unread")));
    }
    for (const { sha256, size_bytes } of part.references) {
      const name = `blobs/${sha256}`;
      const content = pack.members.get(name);
      if (!content) {
        findings.push(part.finding(name, said("member_missing", { name })));
        continue;
      }
      held.add(name);
      if ((await content.hash()) !== sha256 || content.size !== size_bytes) {
        findings.push(part.finding(name, said("blob_other", { name })));
      }
    }
  }
  for (const name of pack.members.keys()) {
    const sha256 = BLOB_FILE.exec(name)?.[1];
    if (sha256 !== undefined && !pack.holders.has(sha256)) {
      findings.push(pack.finding(name, said("blob_unnamed", { name })));
    }
  }
  findings.push(...(await checkDerived(pack)));
  const message = said("blobs_passed", { count: held.size });
  return { message, findings, unmade: uncompared(pack.members.keys()), passed: true };
}

/** Files that were made from entries say what the entries say, and no more. @param {Package} pack */
async function checkDerived(pack) {
  /** @type {Finding[]} */
  const findings = [];
  const custody = pack.members.get(CUSTODY_FILE);
  const told = toldOf(pack);
  // Where an entry cannot be read, that was found already, and what would be compared is not known.
  if (custody && told !== null) {
    if (custody.size > MAX_CUSTODY_BYTES) {
      findings.push(pack.finding(CUSTODY_FILE, said("custody_long", { size: custody.size })));
    } else findings.push(...checkCustody(await custody.head(custody.size), told));
  }
  const segments = new Map(
    [...pack.parts].map(([number, { references }]) => [
      number,
      new Set(references.map(({ sha256 }) => sha256)),
    ]),
  );
  const index = pack.members.get(PLAYBACK_INDEX);
  const limit = Math.min(MAX_INDEX_BYTES, MANIFEST_BYTES + INDEX_BYTES_AN_ENTRY * pack.parts.size);
  const index_bytes = index ? await index.head(limit) : null;
  return [...findings, ...checkPlayback(pack.members.keys(), index_bytes, segments)];
}

/** The entries of custody, with null for a body that was erased; null if one cannot be read. @param {Package} pack */
function toldOf(pack) {
  /** @type {import("./package_derived.js").Told[]} */
  const told = [];
  for (const part of pack.parts.values()) {
    const { envelope, body } = part;
    if (envelope instanceof Said) return null;
    if (!CUSTODY_KINDS.includes(envelope.kind)) continue;
    if (!(body instanceof Said)) told.push({ envelope, body });
    else if (pack.erased(part)) told.push({ envelope, body: null });
    else return null;
  }
  return told;
}

/** @param {Package} pack @returns {Result} */
function checkCompleteness(pack) {
  const last = [...pack.parts.values()].at(-1);
  if (!last) throw new CannotBeMade("no_entry");
  const message = said("completeness_passed", { before: last.number - 1 });
  /** @param {string} file @param {string} code */
  const wrong = (file, code) => ({ message, findings: [last.finding(file, said(code))] });
  if (last.envelope instanceof Said || last.body instanceof Said) return wrong("body.json", "last_unread");
  if (last.envelope.kind !== "exported") return wrong("envelope.json", "last_no_export");
  if (last.body.entries_before !== last.number - 1) return wrong("body.json", "last_count");
  return { message, findings: [] };
}

/** @param {Package} pack @param {Trust} trust @returns {Promise<Result>} */
async function checkKey(pack, { vkeys }) {
  if (vkeys.length === 0) throw new CannotBeMade("no_other_key");
  if (pack.key instanceof Said) throw new CannotBeMade("key_unread");
  const carried = encodeKey(pack.key);
  const due = vkeys.map(encodeKey);
  if (due.includes(carried)) return { message: said("key_passed"), findings: [] };
  const history = await pack.history();
  if (history?.keys.some((key) => due.includes(encodeKey(key)))) {
    return { message: said("key_followed"), findings: [] };
  }
  return { message: said("nothing"), findings: [pack.finding("vkey", said("another_key", { due }))] };
}

/** What others said of the log, with the entries whose place in it is shown. @param {Package} pack */
async function outsideOf(pack) {
  if (pack.checkpoint instanceof Said) throw new CannotBeMade("own_checkpoint_unread");
  /** @type {Map<number, Map<string, Content>>} */
  const folders = new Map();
  for (const [name, content] of pack.members) {
    const [, size, file = ""] = ATTESTED_FILE.exec(name) ?? [];
    if (size === undefined) continue;
    const folder = folders.get(Number(size)) ?? new Map();
    folders.set(Number(size), folder.set(file, content));
  }
  return {
    folders,
    checkpoint: pack.checkpoint,
    key: pack.key instanceof Said ? null : pack.key,
    keys: await keysOf(pack),
    entries: [...pack.parts.values()].flatMap(({ number, place, envelope }) =>
      place instanceof Said || envelope instanceof Said
        ? []
        : [{ number, leaf_index: place, kind: envelope.kind }],
    ),
  };
}

/** Those that the log is shown to have had. @param {Package} pack */
async function keysOf(pack) {
  try {
    return (await pack.history())?.keys ?? [];
  } catch (error) {
    if (error instanceof CannotBeMade) return [];
    throw error;
  }
}

/** @param {Package} pack @param {Trust} trust */
function ownRoots(pack, { roots }) {
  return { roots: roots.length > 0, own_roots: pack.members.has("certificates.pem") };
}

/** The policy that the package carries itself: its operator's word, and not needed. @param {Package} pack */
async function ownPolicy(pack) {
  const head = await pack.members.get("policy.txt")?.head(MAX_POLICY_BYTES + 1);
  if (!head) return null;
  const policy = attempt(() => parsePolicy(new TextDecoder("utf-8", { ignoreBOM: true }).decode(head)));
  return policy instanceof Said ? null : policy;
}

/** @param {Package} pack @returns {Promise<Checked>} */
async function checkCredentials(pack) {
  const copies = [...pack.members.keys()].flatMap((name) => CREDENTIALS_FILE.exec(name)?.[1] ?? []);
  if (copies.length === 0) throw new CannotBeMade("no_credentials");
  const { key } = pack;
  if (key instanceof Said) throw new CannotBeMade("key_unread");
  /** @type {Finding[]} */
  const findings = [];
  /** @type {Finding[]} */
  const unmade = [];
  let held = 0;
  for (const sha256 of copies) {
    const member = `credentials/${sha256}.jpg`;
    const entry = pack.holders.get(sha256) ?? null;
    /** @param {Said} what */
    const whose = (what) => ({
      said: entry === null ? what : said("of_entry", { entry, what }),
      member,
      entry,
    });
    try {
      if (entry === null) throw new Wrong("copy_unnamed");
      if ((await pack.sealedBlob(sha256)) === null) throw new CannotBeMade("copy_of_damaged");
      const content = /** @type {Content} */ (pack.members.get(member));
      if (content.size > MAX_COPY_BYTES) throw new Wrong("copy_long", { size: content.size });
      await checkCopy(await content.head(content.size), sha256, key);
      held += 1;
    } catch (error) {
      if (error instanceof CannotBeMade) {
        unmade.push(whose(said("copy_unmade", { name: member, what: error.said })));
      } else if (error instanceof Wrong) {
        findings.push(whose(said("at_file", { name: member, what: error.said })));
      } else throw error;
    }
  }
  return { message: said("copies_held", { held, count: copies.length }), findings, unmade, passed: false };
}

/** @param {Package} pack @returns {Result} */
function checkErased(pack) {
  if (pack.parts.size === 0) throw new CannotBeMade("no_entry");
  const entries = [...pack.parts.values()].flatMap(({ envelope, missing }) =>
    envelope instanceof Said ? [] : [{ envelope, missing }],
  );
  return checkErasure(pack.erasures, entries);
}

/** Whether the log that signed this package also signed another history. @param {Package} pack @param {Blob | null} other @returns {Promise<Result>} */
async function checkHistory(pack, other) {
  if (other === null) throw new CannotBeMade("no_other_checkpoint");
  const { key, checkpoint } = pack;
  if (key instanceof Said || checkpoint instanceof Said) throw new CannotBeMade("own_unread");
  const { note, tree } = await readOther(other);
  const read = attempt(() => readCheckpoint(note));
  const history = await pack.history();
  let theirs;
  try {
    const then = read instanceof Said || history === null ? key : keyAt(history, read.tree_size);
    theirs = await openCheckpoint(note, then);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    const what = error.said;
    if (read instanceof Said || read.origin !== key.name) throw new CannotBeMade("other_of_no_log", { what });
    return { message: said("nothing"), findings: [pack.finding("vkey", said("other_key", { what }))] };
  }
  const own = treeOf(checkpoint, pack.parts.values());
  const { contradiction, shown } = compareHistories(
    own,
    tree ?? new KnownTree(theirs.tree_size, theirs.root),
  );
  if (contradiction) {
    return { message: said("nothing"), findings: [pack.finding("checkpoint", contradiction)] };
  }
  const sizes = { theirs: theirs.tree_size, own: checkpoint.tree_size };
  if (shown === null) throw new CannotBeMade("history_unreached", sizes);
  return { message: shown, findings: [] };
}

/** The checkpoint in another file; and of a package or a voucher, what its entries show of the log. @param {Blob} other @returns {Promise<{note: string, tree: KnownTree | null}>} */
async function readOther(other) {
  const head = new Uint8Array(await other.slice(0, MAX_VOUCHER_BYTES).arrayBuffer());
  if (isVoucher(head)) return readVoucher(other);
  if (!same(head.subarray(0, ZIP_BEGINS.length), ZIP_BEGINS)) {
    const text = new TextDecoder("utf-8", { ignoreBOM: true });
    return { note: text.decode(head.subarray(0, MAX_POLICY_BYTES + 1)), tree: null };
  }
  const members = await chooseMembers(await readContainer(new Source(other)));
  const pack = new Package(members, await versionOf(members));
  const { note, checkpoint } = pack;
  return { note, tree: checkpoint instanceof Said ? null : treeOf(checkpoint, pack.parts.values()) };
}

/** @param {Blob} file @returns {Promise<{note: string, tree: KnownTree | null}>} */
async function readVoucher(file) {
  /** @type {Json} */
  let document;
  try {
    document = parseDocument(
      findDocument(new Uint8Array(await file.slice(0, MAX_PDF_BYTES + 1).arrayBuffer())),
    );
  } catch (error) {
    if (!(error instanceof Failed && error.said)) throw error;
    throw new CannotBeMade("other_voucher", { what: error.said });
  }
  const note = String(document.checkpoint);
  const checkpoint = attempt(() => readCheckpoint(note));
  if (checkpoint instanceof Said) return { note, tree: null };
  const shown = ["handed_over", "confirmed"].flatMap((part) => {
    if (
      Object.keys(document[part] ?? {})
        .sort()
        .join() !== "body,envelope,proof,salt"
    )
      return [];
    const proven = attempt(() => {
      const leaf_hash = hashLeaf(canonicalBytes(document[part]?.envelope ?? null));
      const proof = parseProof(canonicalBytes(document[part]?.proof ?? null));
      if (proof.tree_size !== checkpoint.tree_size) throw new Wrong("proof_size");
      checkInclusion(leaf_hash, proof, checkpoint.root);
      return { leaf_index: proof.leaf_index, leaf_hash, hashes: proof.hashes };
    });
    return proven instanceof Said ? [] : [proven];
  });
  return { note, tree: new KnownTree(checkpoint.tree_size, checkpoint.root, shown) };
}

/** @param {Checkpoint} checkpoint @param {Iterable<Part>} parts */
function treeOf(checkpoint, parts) {
  const shown = [...parts].flatMap((part) => part.shown ?? []);
  return new KnownTree(checkpoint.tree_size, checkpoint.root, shown);
}
