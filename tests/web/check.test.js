// @ts-check
/** The parts of the page that checks packages; that it finds what the command finds is `test_package_agreement.py`. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { parseCanonical } from "../../web/canonical.js";
import { STORY_FILTERS, storyOf } from "../../web/check_story.js";
import { CHECK_WORDS } from "../../web/check_words.js";
import { crc, hashNow, Sha256 } from "../../web/hashing.js";
import {
  checkPackage,
  INNER_STEPS,
  STEPS,
  uncheckedTokens,
  verdictOf,
  withinHolds,
  withTrust,
} from "../../web/package_check.js";
import { ed25519Holds, quoted } from "../../web/package_entry.js";
import { NOBODY, parseTrust } from "../../web/package_trust.js";
import { CannotBeMade, said, Wrong } from "../../web/said.js";
import { WORDS } from "../../web/words.js";
import { readContainer, Source } from "../../web/zip_container.js";

const NO_CODES = ["checkpoint", "vkey", "number", "string"]; // files of a package, and types

/** @typedef {import("../../web/package_check.js").Outcome} Outcome */
/** @param {number} number @param {(typeof STEPS)[number]} name @param {Outcome} outcome */
const step = (number, name, outcome) => ({
  number,
  name,
  outcome,
  message: said("nothing"),
  findings: [],
  unmade: [],
});
/** @param {number} size */
const bytes = (size) => Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 255);
/** @param {Uint8Array} data */
const hex = (data) => Buffer.from(data).toString("hex");
/** @param {Uint8Array} data */
const reference = (data) => createHash("sha256").update(data).digest("hex");

test("a hash is that of FIPS 180-4 at every length, in whatever pieces it comes", () => {
  for (let size = 0; size <= 200; size += 1) assert.equal(hex(hashNow(bytes(size))), reference(bytes(size)));
  const long = bytes(100_000);
  for (const piece of [1, 63, 64, 65, 1000, 99_999]) {
    const hash = new Sha256();
    for (let at = 0; at < long.length; at += piece) hash.update(long.subarray(at, at + piece));
    assert.equal(hex(hash.digest()), reference(long), `pieces of ${piece}`);
  }
});

test("a check sum is the CRC-32 of zip, in whatever pieces it comes", () => {
  const check = new TextEncoder().encode("123456789");
  assert.equal(crc(check), 0xcbf43926); // the check value of CRC-32/ISO-HDLC
  assert.equal(crc(check.subarray(4), crc(check.subarray(0, 4))), 0xcbf43926);
  assert.equal(crc(new Uint8Array()), 0);
});

test("a file is read in windows, and never copied whole", async () => {
  const whole = bytes(10_000_000);
  const source = new Source(new Blob([whole]));
  for (const [begin, end] of [
    [0, 10],
    [5, 4_194_304],
    [4_194_300, 4_194_310],
    [9_999_990, 10_000_100],
    [20, 30],
  ]) {
    assert.deepEqual(await source.read(begin ?? 0, end ?? 0), whole.subarray(begin, end));
  }
  assert.equal((await source.read(10_000_000, 10_000_030)).length, 0);
});

test("what is no zip is damaged, and nothing is raised", async () => {
  for (const size of [0, 1, 21, 22, 30, 1000]) {
    const { damage, in_order } = await readContainer(new Source(new Blob([bytes(size)])));
    assert.ok(damage, `${size} bytes`);
    assert.deepEqual(in_order, []);
  }
});

test("canonical JSON is read back, and of any other spelling it is said what is wrong", () => {
  const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
  assert.deepEqual(parseCanonical(encode('{"10":1,"9":[],"é":"\u2028"}')), { 9: [], 10: 1, é: "\u2028" });
  assert.deepEqual(parseCanonical(encode(`["${"[".repeat(40)}\\"${"{".repeat(40)}"]`)).length, 1);
  for (const [text, code] of /** @type {[string, string][]} */ ([
    ['{"a":1.0}', "json_no_integer"],
    ["9007199254740992", "json_large_integer"],
    ['{"b":1,"a":2}', "json_spelling"],
    ['{"a":1}x', "json_spelling"],
    ['"\\ud800"', "no_json"],
    ["[1,]", "no_json"],
    [`${"[".repeat(33)}${"]".repeat(33)}`, "json_too_deep"],
    ["[".repeat(100_000), "json_too_deep"],
    [`"${"[".repeat(40)}`, "no_json"],
    ["", "no_json"],
  ])) {
    const why = (/** @type {any} */ error) => error instanceof Wrong && error.said.code === code;
    assert.throws(() => parseCanonical(encode(text)), why, text);
  }
});

test("what a stranger wrote is quoted so that it is taken for nothing else", () => {
  assert.equal(quoted("plain"), "'plain'");
  assert.equal(quoted("it's"), '"it\'s"');
  assert.equal(quoted("a\n\u0000\u200b\u{e0001}"), "'a\\n\\x00\\u200b\\U000e0001'");
});

test("whom one trusts changes the steps of trust alone, and what names nobody is refused", async () => {
  const report = await checkPackage(new Blob([bytes(100)]), NOBODY);
  assert.equal(report.passed, false);
  const again = await withTrust(report, NOBODY);
  assert.deepEqual(again.steps, report.steps);
  assert.equal(again.steps[9]?.message.code, "no_other_key");
  for (const text of [
    "nonsense",
    "proofcall.local/log+00000000+AAAA",
    "{",
    '{"format":"proofcall-trust","version":2}',
    '{"format":"proofcall-trust","version":1,"keys":[]}',
    '{"format":"proofcall-trust","version":1,"vkeys":"x"}',
    '{"format":"proofcall-trust","version":1,"vkeys":null}',
    `{"format":"proofcall-trust","version":1}${" ".repeat(1 << 20)}`,
    '{"format":"proofcall-trust","version":1,"roots":["x"]}',
    '{"format":"proofcall-trust","version":1,"picture_roots":["x"]}',
    '{"format":"proofcall-trust","version":1,"policy":"quorum w1"}',
  ]) {
    assert.throws(() => parseTrust(text), Wrong, text);
  }
  const trust = parseTrust('{"format":"proofcall-trust","version":1,"policy":"quorum none\\n"}');
  assert.deepEqual(trust, {
    vkeys: [],
    roots: [],
    picture_roots: [],
    policy: { logs: [], witnesses: [], groups: [], quorum: "none" },
  });
});

test("what is compared may fail while the contents are whole; what lies in the package may not", () => {
  const passed = STEPS.map((name, index) => step(index + 1, name, "passed"));
  /** @param {string} failing @param {Outcome} outcome */
  const having = (failing, outcome) =>
    withinHolds(passed.map((one) => (one.name === failing ? { ...one, outcome } : one)));
  for (const name of STEPS) {
    const is_compared = ["key", "history", "time", "witnesses"].includes(name);
    assert.equal(having(name, "failed"), is_compared, name);
  }
  assert.equal(having("bodies", "cannot_be_made"), false);
  assert.equal(having("frames", "cannot_be_made"), true);
});

test("time stamps whose signatures were not checked here are counted", () => {
  const token = said("at_file", { name: "timestamp-1.der", what: said("token_unchecked", { why: "" }) });
  const note = said("at_file", { name: "checkpoint", what: said("no_ed25519") });
  const unmade = [token, token, note].map((one) => ({ said: one, member: null, entry: null }));
  const steps = [
    { ...step(12, "time", "cannot_be_made"), unmade },
    { ...step(9, "frames", "passed"), unmade },
  ];
  assert.equal(uncheckedTokens(/** @type {any} */ ({ steps })), 2);
  assert.match(CHECK_WORDS.en.untimed(2), /signatures of 2 time stamps/);
});

test("only eight passed steps and none that failed make a package hold", () => {
  /** @type {import("../../web/package_check.js").Step[]} */
  const passed = STEPS.map((name, index) => ({
    number: index + 1,
    name,
    outcome: "passed",
    message: said("nothing"),
    findings: [],
    unmade: [],
  }));
  assert.equal(verdictOf(passed), true);
  for (const [index, step] of passed.entries()) {
    assert.equal(verdictOf(passed.with(index, { ...step, outcome: "failed" })), false);
    const unmade = passed.with(index, { ...step, outcome: "cannot_be_made" });
    assert.equal(verdictOf(unmade), index >= INNER_STEPS);
  }
});

test("a browser that does not know the signature says so, and what else can be checked is checked", async () => {
  const kept = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  for (const [subtle, code] of /** @type {[unknown, string][]} */ ([
    [undefined, "no_webcrypto"],
    [{ importKey: async () => Promise.reject(new DOMException("", "NotSupportedError")) }, "no_ed25519"],
  ])) {
    Object.defineProperty(globalThis, "crypto", { value: { subtle }, configurable: true });
    try {
      const why = (/** @type {any} */ error) => error instanceof CannotBeMade && error.said.code === code;
      await assert.rejects(ed25519Holds(bytes(32), bytes(64), bytes(3)), why);
    } finally {
      if (kept) Object.defineProperty(globalThis, "crypto", kept);
    }
  }
});

test("the story names what was erased, and nothing in a body breaks it", () => {
  const kinds = ["case_opened", "frame_sealed", "left", "of_tomorrow", "erased"];
  const bodies = [
    { waybill: 1 },
    said("file_missing"),
    { reason: [] },
    { a: 1 },
    { numbers: [2], kinds: null },
  ];
  const parts = new Map(
    kinds.map((kind, index) => {
      const recorded_at = "2026-11-22T14:03:22.123Z";
      const envelope = { kind, number: index + 1, recorded_at, role: "qa", actor_id: "l_q", case_id: "c_a" };
      return [index + 1, { envelope, body: bodies[index], references: [], place: index }];
    }),
  );
  const report = /** @type {any} */ ({ pack: { parts, members: new Map() } });
  const lines = storyOf(report, WORDS.en);
  assert.deepEqual(
    lines.map(({ kind }) => kind),
    kinds,
  );
  assert.equal(lines[1]?.what, WORDS.en.entry.body_erased);
  assert.equal(lines[3]?.what, "of_tomorrow");
  assert.deepEqual(
    lines.filter(STORY_FILTERS.missing).map(({ number }) => number),
    [2, 5],
  );
  assert.deepEqual(lines.filter(STORY_FILTERS.custody), []);
});

test("both languages have the same words, and a sentence for every finding", async () => {
  /** @param {any} value @returns {any} */
  const shape = (value) =>
    typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner)]))
      : typeof value;
  assert.deepEqual(shape(CHECK_WORDS.zh), shape(CHECK_WORDS.en));
  const codes = new Set();
  for (const module of [
    "attested",
    "canonical",
    "package_check",
    "package_derived",
    "package_entry",
    "package_frames",
    "package_history",
    "package_keys",
    "package_trust",
    "picture_credential",
    "timestamp_token",
    "voucher_check",
    "witness_policy",
    "zip_container",
  ]) {
    const source = await readFile(new URL(`../../web/${module}.js`, import.meta.url), "utf8");
    const made =
      /(?:said|Wrong|CannotBeMade|ended|found|wrong|finding)\(\s*(?:"[a-z.]+\.[a-z]+", )?"([a-z_0-9]+)"|\? (?:null|"([a-z_]+)") : "([a-z_]+)"\)/g;
    for (const match of source.matchAll(made)) {
      for (const code of match.slice(1)) {
        // The page of vouchers has its own words for its steps: its sentences are of a file to compare with.
        const other = module === "voucher_check" && !code?.startsWith("voucher_");
        if (code && !other && !NO_CODES.includes(code)) codes.add(code);
      }
    }
  }
  assert.ok(codes.size > 80, `${codes.size} codes`);
  for (const language of /** @type {const} */ (["zh", "en"])) {
    const sentences = /** @type {Record<string, unknown>} */ (CHECK_WORDS[language].sentences);
    for (const code of codes) assert.equal(typeof sentences[code], "function", `${language}: ${code}`);
    for (const code of Object.keys(sentences)) assert.ok(codes.has(code), `${code} is said by nobody`);
  }
});
