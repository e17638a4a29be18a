// @ts-check
/** The page's verdict on vouchers is that of the service's own verification (voucher_vectors.json). */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Wrong } from "../../web/said.js";
import { checkVoucher, findDocument, INNER_STEPS, STEPS, verdictOf } from "../../web/voucher_check.js";
import { VOUCHER_WORDS } from "../../web/voucher_words.js";
import { parsePolicy } from "../../web/witness_policy.js";

const vectors = JSON.parse(await readFile(new URL("voucher_vectors.json", import.meta.url), "utf8"));
/** @param {string} text */
const decode = (text) => new Uint8Array(Buffer.from(text, "base64"));
const good = decode(vectors.damages[0].data);
const pdf = decode(vectors.pdf);
const OUTCOMES = { passed: "passed", failed: "failed", unavailable: "cannot_be_made" };

/** @param {Uint8Array<ArrayBuffer>} bytes @param {string | null} [vkey] */
const check = (bytes, vkey = vectors.vkey) => checkVoucher(bytes, { vkey });

/** @param {Uint8Array<ArrayBuffer>} bytes @param {number} place @param {number} bits */
function flipped(bytes, place, bits) {
  const changed = bytes.slice();
  changed[place] = (changed[place] ?? 0) ^ bits;
  return changed;
}

for (const { name, data, passed, steps } of vectors.damages) {
  test(`of "${name}" the page says what the command says, step by step`, async () => {
    const checked = await check(decode(data));
    assert.deepEqual(
      checked.steps.map(({ state }) => OUTCOMES[state]),
      steps,
    );
    assert.equal(checked.verdict, passed ? "genuine" : "wrong");
    assert.equal(checked.voucher !== null, passed, "what is not proven is not shown");
  });
}

for (const { name, data, policy, passed, steps } of vectors.attested) {
  test(`of others' words, "${name}", the page says what the command says, step by step`, async () => {
    const read = policy === null ? null : parsePolicy(policy);
    const checked = await checkVoucher(decode(data), { vkey: vectors.vkey, policy: read });
    assert.deepEqual(
      checked.steps.map(({ state }) => OUTCOMES[state]),
      steps,
    );
    assert.equal(checked.verdict, passed ? "genuine" : "wrong");
    assert.ok(checked.witnesses.length === 0 || steps[12] === "passed", "only what holds is named");
    for (const { state, why } of checked.steps) {
      assert.ok(state === "passed" || why in VOUCHER_WORDS.en.why, why);
    }
  });
}

test("those whose signatures make up the quorum are named", async () => {
  const { data, policy } = vectors.attested[1];
  const { witnesses } = await checkVoucher(decode(data), {
    vkey: vectors.vkey,
    policy: parsePolicy(policy),
  });
  assert.deepEqual(witnesses, ["witness.example/w1", "witness.example/w2"]);
});

test("cosignatures that are not there yet make no voucher wrong whose service was asked for the policy", async () => {
  const policy = parsePolicy(vectors.attested[1].policy);
  const { verdict, steps } = await checkVoucher(good, { vkey: vectors.vkey, policy, demanded: false });
  assert.equal(verdict, "genuine");
  assert.deepEqual(steps[12], { number: 13, name: "witnesses", state: "unavailable", why: "no_quorum" });
});

test("a policy that is none is refused, and none counts one key twice", () => {
  const witness = vectors.attested[1].policy.split("\n")[0];
  const log = `log ${vectors.vkey}`;
  for (const text of [
    "",
    "quorum A",
    `${witness}\n${witness}\nquorum A`,
    `${witness}\ngroup G 2 A\nquorum G`,
    `${witness}\n${witness.replace(" A ", " B ")}\ngroup G 2 A B\nquorum G`,
    `${log}\n${log}\n${witness}\nquorum A`,
    `${witness}\u0000\nquorum A`,
    `${witness}\ngroup G any A A\nquorum G`,
    `${witness}\nquorum A\nquorum A`,
    `witness A ${vectors.vkey}\nquorum A`,
    `log ${witness.split(" ")[2]}\nquorum none`,
    "quorums none",
  ]) {
    assert.throws(() => parsePolicy(text), Wrong, text);
  }
});

test("every flipped byte is found", async () => {
  for (const bits of [0x01, 0x20, 0x80]) {
    for (let place = 0; place < good.length; place += 1) {
      const { verdict } = await check(flipped(good, place, bits));
      assert.equal(verdict, "wrong", `byte ${place}`);
    }
  }
});

test("a PDF carries the document, and one without it or with two says so", async () => {
  assert.deepEqual(findDocument(pdf), good);
  const checked = await check(pdf);
  assert.equal(checked.verdict, "genuine");
  assert.equal(checked.from_pdf, true);
  const twice = new Uint8Array([...pdf, ...pdf]);
  assert.equal((await check(twice)).steps[0]?.why, "many_in_pdf");
  const none = new TextEncoder().encode("%PDF-1.4 saved anew");
  assert.equal((await check(none)).steps[0]?.why, "none_in_pdf");
});

test("without a key from elsewhere it is genuine, and the key is named as not compared", async () => {
  const { verdict, steps } = await check(good, null);
  assert.equal(verdict, "genuine");
  assert.deepEqual(steps[9], { number: 10, name: "key", state: "unavailable", why: "no_other_key" });
});

test("a browser that cannot check says so, and calls nothing genuine", async () => {
  const crypto = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { value: {}, configurable: true });
  try {
    const { verdict, steps, voucher } = await check(good);
    assert.equal(verdict, "unknown");
    assert.equal(voucher, null);
    assert.ok(steps.every(({ why }) => why === "insecure_page"));
  } finally {
    if (crypto) Object.defineProperty(globalThis, "crypto", crypto);
  }
});

test("only eight passed steps and none that failed make a voucher genuine", () => {
  /** @type {import("../../web/voucher_check.js").Step[]} */
  const passed = STEPS.map((name, index) => ({ number: index + 1, name, state: "passed", why: "" }));
  assert.equal(verdictOf(passed), "genuine");
  assert.equal(verdictOf([]), "unknown");
  assert.equal(verdictOf(passed.slice(0, INNER_STEPS - 1)), "unknown");
  for (const [index] of passed.entries()) {
    const step = passed[index];
    assert.ok(step);
    assert.equal(verdictOf(passed.with(index, { ...step, state: "failed" })), "wrong");
    const unavailable = passed.with(index, { ...step, state: "unavailable" });
    assert.equal(verdictOf(unavailable), index < INNER_STEPS ? "unknown" : "genuine");
  }
});

test("both languages have the same words, and a sentence for every step and every reason", async () => {
  /** @param {any} value @returns {any} */
  const shape = (value) =>
    typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner)]))
      : typeof value;
  assert.deepEqual(shape(VOUCHER_WORDS.zh), shape(VOUCHER_WORDS.en));
  const source = await readFile(new URL("../../web/voucher_check.js", import.meta.url), "utf8");
  const codes = [...source.matchAll(/(?:Failed|Unavailable)\("([a-z_0-9]+)"\)|, "([a-z_]+)"\);/g)]
    .map((match) => match[1] ?? match[2] ?? "")
    .concat("many_in_pdf", "none_in_pdf", "proof");
  for (const words of [VOUCHER_WORDS.zh, VOUCHER_WORDS.en]) {
    for (const name of STEPS) assert.ok(words.step[name]?.title && words.step[name]?.passed, name);
    for (const code of codes) assert.ok(/** @type {any} */ (words.why)[code], code);
  }
});
