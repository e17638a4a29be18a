// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { sentenceOf } from "../../web/sentences.js";
import { INITIAL } from "../../web/state.js";
import { WORDS } from "../../web/words.js";

/** @typedef {import("../../web/state.js").State} State */

const ME = "l_customer";
const COURIER = "l_courier";
/** @type {State} */
const STATE = {
  ...INITIAL,
  case: { case_id: "c_1", waybill: "SF1", language: "zh", state: "open", time_zone: "Asia/Shanghai" },
  you: { actor_id: ME, role: "customer", name: "Li", session_id: "s_1" },
  known: { [ME]: { role: "customer", name: "Li" }, [COURIER]: { role: "courier", name: "Zhang" } },
};
const DAMAGE = { zh: "破损", en: "Damage" };
const LATER = { zh: "晚一点", en: "Later" };
const AT = "2026-11-22T10:30:00.000Z";
const PLACE = { latitude_e6: 31_230_400, longitude_e6: 121_473_700, accuracy_m: 12 };

/** @param {string} kind @param {any} body @param {"en" | "zh"} language @param {string} actor_id */
function line(kind, body, language, actor_id = COURIER) {
  const envelope = /** @type {any} */ ({ kind, number: 7, actor_id, role: "courier", recorded_at: AT });
  return sentenceOf({ envelope, body, salt: "", hash: "h7", leaf_index: 6 }, STATE, WORDS[language]);
}

/** @type {[kind: string, body: any, en: string, zh: string][]} */
const LINES = [
  [
    "erased",
    { reason: "asked for", numbers: "all", kinds: null },
    "All contents were erased · asked for",
    "全部内容已删除 · asked for",
  ],
  [
    "erased",
    { reason: "asked for", numbers: [3], kinds: null },
    "Pictures or recordings were erased · asked for",
    "照片或录制已删除 · asked for",
  ],
  [
    "hold_set",
    { reason: "Claim 4711" },
    "Zhang set a legal hold: nothing is erased · Claim 4711",
    "Zhang设置了证据保全：不得删除 · Claim 4711",
  ],
  [
    "hold_lifted",
    { number: 4, reason: "settled" },
    "Zhang lifted the legal hold of No. 4 · settled",
    "Zhang解除了第 4 号证据保全 · settled",
  ],
  ["text", { text: "hello" }, "hello", "hello"],
  ["phrase", { text: { zh: "请上来。", en: "Please come up." } }, "Please come up.", "请上来。"],
  ["attached", { attachment: { medium: "photo" }, caption: null }, "Photo", "照片"],
  [
    "attached",
    { attachment: { medium: "voice" }, caption: "the door" },
    "Voice note: the door",
    "语音：the door",
  ],
  [
    "attachment_stored",
    { number: 3, shown: { media_type: "image/webp" } },
    "The photo of No. 3 has arrived and is sealed",
    "第 3 号的照片已收到并封存",
  ],
  [
    "attachment_stored",
    { number: 3, shown: { media_type: "audio/ogg" } },
    "The voice note of No. 3 has arrived and is sealed",
    "第 3 号的语音已收到并封存",
  ],
  [
    "attachment_refused",
    { number: 3 },
    "A file of No. 3 could not be used. Please send it again.",
    "第 3 号的文件无法使用，请重新发送",
  ],
  [
    "placed",
    { place: PLACE, distance_m: null },
    "Zhang: place shared, exact to 12 m",
    "Zhang的位置，误差约 12 米",
  ],
  [
    "placed",
    { place: PLACE, distance_m: 1234 },
    "Zhang: place shared, exact to 12 m · 1.2 km from the address",
    "Zhang的位置，误差约 12 米 · 距收件地址 1.2 公里",
  ],
  ["receipt", { delivered: 5, read: 5 }, "Zhang: read up to No. 5", "Zhang已读到第 5 号"],
  ["receipt", { delivered: 5, read: 3 }, "Delivered to Zhang up to No. 5", "已送达Zhang，到第 5 号"],
  ["notice_sent", { text: DAMAGE }, "Damage", "破损"],
  ["notice_repeated", {}, "No answer yet: the notice went out once more", "还没有回复，已再次通知"],
  ["notice_unanswered", {}, "The notice is still without an answer", "通知仍未得到回复"],
  [
    "answered",
    { label: LATER, when_at: AT, detail: "after work", replaces: null },
    "Answer: Later · 22 Nov 18:30 · after work",
    "回复：晚一点 · 11月22日 18:30 · after work",
  ],
  [
    "answered",
    { label: LATER, when_at: null, detail: null, replaces: 4 },
    "Answer changed: Later",
    "回复改为：晚一点",
  ],
  ["answer_taken", { number: 4 }, "Zhang acts on the answer", "Zhang正按此回复办理"],
  [
    "change_requested",
    { what: "address", text: "Gate 3", when_at: null },
    "Asked for another address: Gate 3",
    "请求更改地址：Gate 3",
  ],
  [
    "change_requested",
    { what: "time", text: "please", when_at: AT },
    "Asked for another time: 22 Nov 18:30 · please",
    "请求更改时间：11月22日 18:30 · please",
  ],
  [
    "change_answered",
    { accepted: false, remark: "too far" },
    "Zhang: change declined · too far",
    "Zhang未能同意更改 · too far",
  ],
  ["change_answered", { accepted: true, remark: null }, "Zhang: change accepted", "Zhang同意更改"],
  ["change_withdrawn", {}, "Zhang: change withdrawn", "Zhang撤回了更改"],
  [
    "agreed",
    { what: "person", text: "Aunt Li", when_at: null },
    "Received by, as agreed: Aunt Li",
    "约定收件人：Aunt Li",
  ],
  [
    "handed_over",
    { label: LATER, text: "blue door" },
    "Handed over: Later · blue door",
    "已交付：晚一点 · blue door",
  ],
  ["confirmed", { reservation: null }, "Receipt confirmed", "已确认收货"],
  [
    "confirmed",
    { reservation: "torn" },
    "Receipt confirmed with a reservation: torn",
    "已确认收货，保留意见：torn",
  ],
  ["receipt_refused", { text: "wet" }, "Receipt refused: wet", "已拒收：wet"],
  [
    "exception_reported",
    { label: DAMAGE, text: "wet" },
    "Problem reported: Damage · wet",
    "报告异常：破损 · wet",
  ],
  ["exception_taken", { number: 3 }, "Zhang: took on problem No. 3", "Zhang接手处理第 3 号异常"],
  [
    "exception_decided",
    { number: 3, label: LATER, remark: null },
    "Decision on problem No. 3: Later",
    "第 3 号异常的处理决定：晚一点",
  ],
  [
    "exception_acknowledged",
    { number: 3 },
    "Zhang: acknowledged the decision on problem No. 3",
    "Zhang已知悉第 3 号异常的处理决定",
  ],
  ["exception_closed", { number: 3, remark: null }, "Problem No. 3 is closed", "第 3 号异常已办结"],
  [
    "exception_overdue",
    { number: 3 },
    "Problem No. 3 is overdue: nothing is decided yet",
    "第 3 号异常已超时，尚未作出决定",
  ],
  ["call_rung", { of: [ME] }, "Zhang called you", "Zhang呼叫了您"],
  ["call_declined", {}, "Zhang: call declined", "Zhang拒接了来电"],
  ["call_missed", { call_number: 1, of: [COURIER] }, "Call not answered: Zhang", "呼叫未接听：Zhang"],
  ["call_missed", { call_number: 1, of: [ME] }, "Missed call from Somebody", "有人的未接来电"],
];

test("each kind of entry has its sentence, in both languages", () => {
  for (const [kind, body, en, zh] of LINES) {
    assert.equal(line(kind, body, "en"), en);
    assert.equal(line(kind, body, "zh"), zh);
  }
});

test("what you do yourself is said to you", () => {
  assert.equal(line("answer_taken", { number: 4 }, "en", ME), "You act on the answer");
});

test("a wording without the reader's language is read in English, else as it is", () => {
  assert.equal(line("phrase", { text: { fr: "Bonjour", en: "Hello" } }, "zh"), "Hello");
  assert.equal(line("phrase", { text: { fr: "Bonjour" } }, "zh"), "Bonjour");
});

test("a body that is gone is told apart from one that is withheld", () => {
  const envelope = /** @type {any} */ ({ kind: "text", number: 1, actor_id: ME, role: "customer" });
  const entry = { envelope, body: null, salt: null, hash: "h1", leaf_index: 0 };
  const erased = {
    envelope: { ...envelope, kind: "erased", number: 2 },
    body: /** @type {any} */ ({ reason: "asked for", numbers: "all", kinds: null }),
    salt: "",
    hash: "h2",
    leaf_index: 1,
  };
  assert.equal(sentenceOf(entry, STATE, WORDS.en), "Not shown to your role");
  assert.equal(sentenceOf(entry, { ...STATE, entries: [entry, erased] }, WORDS.en), "Erased");
});
