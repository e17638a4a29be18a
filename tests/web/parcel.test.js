// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { followParcel, NO_PARCEL } from "../../web/parcel.js";
import { INITIAL, reduce } from "../../web/state.js";

/** @typedef {import("../../web/parcel.js").Parcel} Parcel */

const CUSTOMER = "l_customer";
const COURIER = "l_courier";
const QA = "l_qa";
const SYSTEM = "system";
const AT = "2026-11-22T14:03:22.123Z";
const LABEL = { zh: "现在送上来", en: "Bring it now" };
const LATER = { choice: "later", label: { zh: "晚一点", en: "Later" }, wants: "time" };
const NOTICE = {
  notice: "arriving_15",
  to: "customer",
  text: { zh: "请选择怎么收。", en: "How would you like to receive it?" },
  choices: [{ choice: "now", label: LABEL, wants: "nothing" }, LATER],
  minutes: 15,
  repeat_at: AT,
  give_up_at: AT,
  captured_at: null,
};
const REPORTED = {
  exception: "damage",
  label: { zh: "破损", en: "Damage" },
  text: "a torn corner",
  attachments: [],
  place: null,
  place_refused: true,
  due_at: "2026-11-22T14:18:22.123Z",
  captured_at: null,
};
const HANDED_OVER = {
  how: "door",
  label: { zh: "放在门口", en: "Left at the door" },
  text: null,
  attachments: [],
  place: null,
  right: { zh: "您有权先验收", en: "You have the right to inspect first" },
  captured_at: null,
};

/** @param {string} choice @param {number} number @param {number | null} replaces */
function answer(choice, number = 1, replaces = null) {
  const plain = { label: LABEL, when_at: null, detail: null, by: "tap", captured_at: null };
  return { number, choice, replaces, ...plain };
}

/**
 * The parcel after these entries, numbered from 1.
 * @param {[kind: string, actor_id: string, body: any][]} entries
 */
function after(...entries) {
  return entries.reduce((parcel, [kind, actor_id, body], index) => {
    const number = index + 1;
    const envelope = /** @type {any} */ ({ kind, number, actor_id, recorded_at: AT });
    return followParcel(parcel, { envelope, body, salt: "", hash: `h${number}`, leaf_index: index });
  }, NO_PARCEL);
}

test("a notice with choices waits for an answer; one without is only told", () => {
  const { notice } = after(["notice_sent", COURIER, NOTICE]);
  assert.deepEqual(notice, {
    number: 1,
    notice: "arriving_15",
    to: "customer",
    text: NOTICE.text,
    choices: NOTICE.choices,
    actor_id: COURIER,
    sent_at: AT,
    repeated: false,
    unanswered: null,
    answer: null,
    closed: false,
  });
  assert.equal(after(["notice_sent", COURIER, { ...NOTICE, choices: [] }]), NO_PARCEL);
});

test("a later notice takes the place of an earlier one, and its answer is gone with it", () => {
  const { notice } = after(
    ["notice_sent", COURIER, NOTICE],
    ["answered", CUSTOMER, answer("now")],
    ["notice_sent", COURIER, { ...NOTICE, notice: "arrived" }],
  );
  assert.equal(notice?.number, 3);
  assert.equal(notice?.answer, null);
});

test("an answer is replaced by a later one until it is taken", () => {
  const changed = after(
    ["notice_sent", COURIER, NOTICE],
    ["answered", CUSTOMER, answer("now")],
    ["answered", CUSTOMER, { ...answer("later", 1, 2), when_at: AT, detail: "after work" }],
  );
  assert.deepEqual(changed.notice?.answer, {
    number: 3,
    choice: "later",
    label: LABEL,
    when_at: AT,
    detail: "after work",
    actor_id: CUSTOMER,
    taken: false,
  });
  const taken = after(
    ["notice_sent", COURIER, NOTICE],
    ["answered", CUSTOMER, answer("now")],
    ["answer_taken", COURIER, { number: 2 }],
  );
  assert.equal(taken.notice?.answer?.taken, true);
});

test("an unanswered notice says what the courier may do, until it is answered after all", () => {
  const options = [{ option: "guard", label: { en: "Leave it with the guard" } }];
  const text = { en: "No answer yet." };
  /** @type {[string, string, any][]} */
  const story = [
    ["notice_sent", COURIER, NOTICE],
    ["notice_repeated", SYSTEM, { number: 1 }],
    ["notice_unanswered", SYSTEM, { number: 1, text, options }],
  ];
  assert.equal(after(...story).notice?.repeated, true);
  assert.deepEqual(after(...story).notice?.unanswered, { text, options });
  assert.equal(after(...story, ["answered", CUSTOMER, answer("now")]).notice?.unanswered, null);
});

test("a change is open until it is answered or withdrawn; the later request for the same stands for both", () => {
  const change = { what: "address", text: "Gate 3", when_at: null, place: null, captured_at: null };
  const asked = after(
    ["change_requested", CUSTOMER, change],
    ["change_requested", CUSTOMER, { ...change, text: "Gate 4" }],
    ["change_requested", CUSTOMER, { ...change, what: "person", text: "Aunt Li" }],
  );
  assert.equal(asked.changes.address?.number, 2);
  assert.equal(asked.changes.address?.text, "Gate 4");
  assert.equal(asked.changes.person?.actor_id, CUSTOMER);
  const agreed = after(
    ["change_requested", CUSTOMER, change],
    ["change_answered", COURIER, { number: 1, accepted: true, remark: null }],
    ["agreed", COURIER, { what: "address", text: "Gate 3", when_at: null, place: null, request: 1 }],
  );
  assert.deepEqual(agreed.changes, {});
  assert.deepEqual(agreed.agreed, { address: { text: "Gate 3", when_at: null, place: null } });
  const withdrawn = after(
    ["change_requested", CUSTOMER, change],
    ["change_withdrawn", CUSTOMER, { number: 1 }],
  );
  assert.deepEqual(withdrawn.changes, {});
});

test("a decline takes only the request that it names: a newer one stays open", () => {
  const change = { what: "time", text: "", when_at: AT, place: null, captured_at: null };
  const { changes } = after(
    ["change_requested", CUSTOMER, change],
    ["change_requested", CUSTOMER, change],
    ["change_answered", COURIER, { number: 1, accepted: false, remark: "no" }],
  );
  assert.equal(changes.time?.number, 2);
});

test("handing over acts on the answer; the newest hand-over is the one that is settled", () => {
  /** @type {[string, string, any][]} */
  const story = [
    ["notice_sent", COURIER, NOTICE],
    ["answered", CUSTOMER, answer("now")],
    ["handed_over", COURIER, HANDED_OVER],
  ];
  const handed = after(...story);
  assert.equal(handed.notice?.answer?.taken, true);
  assert.equal(handed.handed_over?.number, 3);
  assert.equal(handed.handed_over?.settled, null);
  const confirmed = after(...story, ["confirmed", CUSTOMER, { number: 3, reservation: "one is torn" }]);
  assert.deepEqual(confirmed.handed_over?.settled, {
    number: 4,
    kind: "confirmed",
    reservation: "one is torn",
  });
  const refused = after(
    ...story,
    ["receipt_refused", CUSTOMER, { number: 3, text: "wet" }],
    ["handed_over", COURIER, HANDED_OVER],
  );
  assert.equal(refused.handed_over?.number, 5);
  assert.equal(refused.handed_over?.settled, null);
});

test("a work order goes its way; who takes it later works on it, and its state stays", () => {
  /** @type {[string, string, any][]} */
  const story = [
    ["exception_reported", COURIER, REPORTED],
    ["exception_taken", QA, { number: 1 }],
    ["exception_decided", QA, { number: 1, decision: "go_on", label: LABEL, remark: "dry it" }],
    ["exception_taken", "l_qa2", { number: 1 }],
    ["exception_acknowledged", COURIER, { number: 1, decided: 3 }],
    ["exception_closed", QA, { number: 1, remark: null }],
  ];
  const states = story.map((_, index) => after(...story.slice(0, index + 1)).orders[0]?.state);
  assert.deepEqual(states, ["open", "taken", "decided", "decided", "acknowledged", "closed"]);
  const [order] = after(...story).orders;
  assert.equal(order?.taken_by, "l_qa2");
  assert.equal(order?.reported_by, COURIER);
  assert.equal(order?.place_refused, true);
  assert.deepEqual(order?.decision, {
    number: 3,
    decision: "go_on",
    label: LABEL,
    remark: "dry it",
    actor_id: QA,
  });
});

test("a decision anew is to be acknowledged anew; overdue is said beside the state", () => {
  const decision = { number: 1, decision: "go_on", label: LABEL, remark: null };
  const [order] = after(
    ["exception_reported", COURIER, REPORTED],
    ["exception_overdue", SYSTEM, { number: 1 }],
    ["exception_decided", QA, decision],
    ["exception_decided", QA, { ...decision, decision: "call_first" }],
  ).orders;
  assert.equal(order?.state, "decided");
  assert.equal(order?.overdue, true);
  assert.equal(order?.decision?.number, 4);
  assert.equal(order?.decision?.decision, "call_first");
});

test("a call rings for each until they come, decline or miss it, and stops with the call", () => {
  const rung = { call_number: 1, of: [CUSTOMER, COURIER], absent: [], until: AT };
  assert.deepEqual(after(["call_rung", QA, rung]).ring, {
    call_number: 1,
    of: [CUSTOMER, COURIER],
    until: AT,
  });
  assert.deepEqual(after(["call_rung", QA, rung], ["joined", CUSTOMER, { call_number: 1 }]).ring?.of, [
    COURIER,
  ]);
  const declined = after(
    ["call_rung", QA, rung],
    ["call_declined", COURIER, { call_number: 1 }],
    ["joined", CUSTOMER, { call_number: 1 }],
  );
  assert.equal(declined.ring, null);
  assert.equal(after(["call_rung", QA, rung], ["call_missed", SYSTEM, rung]).ring, null);
  assert.equal(after(["call_rung", QA, rung], ["call_ended", QA, { call_number: 1 }]).ring, null);
  assert.equal(after(["call_rung", QA, rung], ["case_ended", QA, { reason: "ended_by_qa" }]).ring, null);
});

test("what the reader may not see changes nothing, nor does what the page does not know", () => {
  const before = after(["notice_sent", COURIER, NOTICE]);
  const envelope = /** @type {any} */ ({
    kind: "confirmed",
    number: 2,
    actor_id: CUSTOMER,
    recorded_at: AT,
  });
  const withheld = { envelope, body: null, salt: null, hash: "h2", leaf_index: 1 };
  assert.equal(followParcel(before, withheld), before);
  const unknown = { ...withheld, envelope: { ...envelope, kind: "teleported" }, body: {} };
  assert.equal(followParcel(before, unknown), before);
});

test("the page's state carries the parcel, knows all people by the welcome, and forgets with the log", () => {
  let state = reduce(INITIAL, {
    type: "received",
    at: 0,
    message: {
      type: "welcome",
      case: { case_id: "c_1", waybill: "SF1", language: "zh", state: "open", time_zone: "Asia/Shanghai" },
      you: { actor_id: CUSTOMER, role: "customer", name: "Li", session_id: "s_1" },
      people: [{ actor_id: COURIER, role: "courier", name: "Zhang" }],
      number: 1,
    },
  });
  assert.deepEqual(state.known[COURIER], { role: "courier", name: "Zhang" });
  const envelope = /** @type {any} */ ({
    kind: "notice_sent",
    number: 1,
    actor_id: COURIER,
    role: "courier",
    recorded_at: AT,
  });
  const entry = { envelope, body: NOTICE, salt: "", hash: "h1", leaf_index: 0 };
  state = reduce(state, { type: "received", at: 0, message: { type: "entry", entry } });
  assert.equal(state.parcel.notice?.number, 1);
  assert.equal(reduce(state, { type: "forgotten" }).parcel, NO_PARCEL);
});
