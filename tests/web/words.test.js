// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { callClock, languageOf, shortHash, WORDS } from "../../web/words.js";

/** @param {any} words @param {string} [path] @returns {Map<string, any>} every text by its path */
function flat(words, path = "") {
  const found = new Map();
  for (const [name, value] of Object.entries(words)) {
    const key = path === "" ? name : `${path}.${name}`;
    if (typeof value === "object") for (const [inner, text] of flat(value, key)) found.set(inner, text);
    else found.set(key, value);
  }
  return found;
}

/** @param {any} value what a text reads like, with examples in its gaps */
function spoken(value) {
  return typeof value === "function" ? value("王师傅", 17) : value;
}

const [en, zh] = [flat(WORDS.en), flat(WORDS.zh)];

test("both languages have every text, with the same gaps", () => {
  assert.deepEqual([...zh.keys()], [...en.keys()]);
  for (const [path, text] of en) {
    assert.equal(typeof zh.get(path), typeof text, path);
    if (typeof text === "function") assert.equal(zh.get(path).length, text.length, path);
    assert.notEqual(spoken(text).trim(), "", path);
    assert.notEqual(spoken(zh.get(path)).trim(), "", path);
  }
});

test("Chinese is Chinese, English is English", () => {
  for (const [path, text] of zh) {
    if (["other_language", "and", "colon", "full_stop"].includes(path) || /proof_sum/.test(path)) continue;
    assert.match(spoken(text), /\p{Script=Han}/u, path);
  }
  for (const [path, text] of en) {
    if (path === "other_language") continue;
    const plain = typeof text === "function" ? text("Wang", 17) : text;
    assert.doesNotMatch(plain, /\p{Script=Han}/u, path);
  }
});

test("people are 您, and Chinese has its own punctuation", () => {
  for (const [path, text] of zh) {
    assert.doesNotMatch(spoken(text), /你/, path);
    assert.doesNotMatch(spoken(text), /\p{Script=Han}[,;:?!()]|[,;:?!()]\p{Script=Han}/u, path);
  }
});

test("the statement that is agreed to fits the protocol", () => {
  for (const words of Object.values(WORDS)) {
    assert.ok(words.consent.length >= 1 && words.consent.length <= 4000);
  }
});

test("the browser's first known language is taken", () => {
  assert.equal(languageOf(["zh-CN", "en"]), "zh");
  assert.equal(languageOf(["de-DE", "zh-Hant-TW", "en"]), "zh");
  assert.equal(languageOf(["fr", "en-GB"]), "en");
  assert.equal(languageOf([]), "en");
});

test("times and hashes are written as people read them", () => {
  assert.equal(callClock(42), "00:42");
  assert.equal(callClock(3725), "62:05");
  assert.equal(shortHash("0123456789abcdef0123456789abcdef"), "01234567…89abcdef");
});
