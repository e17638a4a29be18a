// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { PARCEL_WORDS } from "../../web/parcel_words.js";
import { placeOf } from "../../web/place.js";
import { personOf } from "../../web/sentences.js";
import { announceable, choiceMeant, reportable, wordOf } from "../../web/wording.js";
import { WORDS } from "../../web/words.js";

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
  return typeof value === "function" ? value("王师傅", 17, "18:30") : value;
}

const [en, zh] = [flat(PARCEL_WORDS.en), flat(PARCEL_WORDS.zh)];

test("both languages say everything, with the same gaps, each in its own script", () => {
  assert.deepEqual([...zh.keys()], [...en.keys()]);
  for (const [path, text] of en) {
    const other = zh.get(path);
    assert.equal(typeof other, typeof text, path);
    if (typeof text === "function") assert.equal(other.length, text.length, path);
    const empty = text === ""; // a field that this form does not have
    assert.equal(other === "", empty, path);
    if (empty) continue;
    assert.match(spoken(other), /\p{Script=Han}/u, path);
    assert.doesNotMatch(spoken(other), /你/, path);
    assert.doesNotMatch(spoken(other), /\p{Script=Han}[,;:?!()]|[,;:?!()]\p{Script=Han}/u, path);
    if (typeof text === "string") assert.doesNotMatch(text, /\p{Script=Han}/u, path);
  }
});

test("a statement names the parcel, how and when it was handed over, and fits the protocol", () => {
  for (const { confirm_sheet } of Object.values(PARCEL_WORDS)) {
    for (const { statement } of Object.values(confirm_sheet)) {
      const said = statement("SF1000000001", "Left at the door", "22 Nov 18:30");
      for (const part of ["SF1000000001", "Left at the door", "22 Nov 18:30"]) assert.ok(said.includes(part));
      assert.ok(said.length <= 4000);
    }
  }
});

test("a place is written in millionths of a degree, and never claimed to be more exact than it is", () => {
  assert.deepEqual(placeOf({ latitude: 31.2304167, longitude: -121.4737013, accuracy: 11.2 }), {
    latitude_e6: 31_230_417,
    longitude_e6: -121_473_701,
    accuracy_m: 12,
  });
});

test("what a role may announce and report comes from the wording, in its order", () => {
  const wording = /** @type {any} */ ({
    rules: {
      notices: { soon: { senders: ["courier"] }, late: { senders: ["dispatch"] } },
      exceptions: { b: { reporters: ["courier", "customer"] }, a: { reporters: ["courier"] } },
    },
    texts: { en: { "exception.b": "Broken" }, zh: { "exception.b": "破损" } },
  });
  assert.deepEqual(announceable(wording, "courier"), ["soon"]);
  assert.deepEqual(reportable(wording, "courier"), ["b", "a"]);
  assert.deepEqual(reportable(wording, "customer"), ["b"]);
  assert.deepEqual(reportable(null, "customer"), []);
  assert.equal(wordOf(wording, "exception.b", "zh"), "破损");
  assert.equal(wordOf(wording, "exception.none", "zh"), "");
});

test("a text is a choice by its number or one of its words, whatever its case, width or punctuation", () => {
  const texts = {
    en: {
      "choice.now": "Bring it now",
      "choice.later": "Later",
      "choice.later.words": ["not now", "come later"],
    },
    zh: { "choice.now": "现在送上来", "choice.later": "晚一点", "choice.later.words": ["晚点"] },
  };
  const wording = /** @type {any} */ ({ rules: {}, texts });
  const choices = ["now", "later"];
  for (const text of ["2", " ２。", "later", "Not now!", "晚点", "晚一点。"]) {
    assert.equal(choiceMeant(wording, choices, text), "later", text);
  }
  assert.equal(choiceMeant(wording, choices, "bring it now, please"), null, "more than the words is a text");
  for (const text of ["0", "3", "22", "", "later or now"]) {
    assert.equal(choiceMeant(wording, choices, text), null, text);
  }
  assert.equal(choiceMeant(null, choices, "1"), "now", "numbers need no wording");
});

test("who decided is named by role and name", () => {
  const known = /** @type {any} */ ({ known: { l_1: { role: "dispatch", name: "周宁" } } });
  assert.equal(personOf(known, "l_1", WORDS.zh), "调度 周宁");
  assert.equal(PARCEL_WORDS.en.decision.title(personOf(known, "l_1", WORDS.en)), "Decision of Dispatch 周宁");
  assert.equal(personOf(known, "l_2", WORDS.en), WORDS.en.somebody);
});
