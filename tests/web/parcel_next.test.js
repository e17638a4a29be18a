// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  callerOf,
  isDelivered,
  isOfParcel,
  missedCall,
  nextCard,
  ringing,
  toldLast,
} from "../../web/parcel_next.js";
import { INITIAL, reduce } from "../../web/state.js";

/** @typedef {import("../../web/state.js").State} State */

const CUSTOMER = "l_customer";
const COURIER = "l_courier";
const QA = "l_qa";
const NOW = { changing: false };
const AT = "2026-11-22T14:03:22.123Z";
const LABEL = { zh: "放门口", en: "Leave it at the door" };
const NOTICE = {
  notice: "arrived",
  to: "customer",
  text: LABEL,
  choices: [
    { choice: "now", label: LABEL, wants: "nothing" },
    { choice: "door", label: LABEL, wants: "nothing" },
  ],
};
const ANSWER = { number: 1, choice: "door", label: LABEL, when_at: null, detail: null, replaces: null };
const REPORT = { exception: "damage", label: LABEL, text: null, attachments: [], place: null, due_at: AT };
const HANDED_OVER = { how: "door", label: LABEL, text: null, right: LABEL, attachments: [] };
const CHANGE = { what: "address", text: "Gate 3", when_at: null, place: null };

/** @typedef {[kind: string, actor_id: string, body: any]} Line */
/** @type {Line} */
const SENT = ["notice_sent", COURIER, NOTICE];
/** @type {Line} */
const ANSWERED = ["answered", CUSTOMER, ANSWER];

/** @param {string} me @param {...Line} lines @returns {State} */
function state(me, ...lines) {
  /** @type {State} */
  let now = {
    ...INITIAL,
    synced: true,
    case: { case_id: "c_1", waybill: "SF1", language: "zh", state: "open", time_zone: "Asia/Shanghai" },
    you: { actor_id: me, role: me === CUSTOMER ? "customer" : "courier", name: "", session_id: "s_1" },
  };
  for (const [index, [kind, actor_id, body]] of lines.entries()) {
    const envelope = /** @type {any} */ ({
      kind,
      number: index + 1,
      actor_id,
      role: "courier",
      recorded_at: AT,
    });
    const entry = { envelope, body, salt: "", hash: `h${index}`, leaf_index: index };
    now = reduce(now, { type: "received", at: 0, message: { type: "entry", entry } });
  }
  return now;
}

/** @param {State} before @param {import("../../web/protocol.js").Command} command */
function tapped(before, command) {
  return reduce(before, { type: "commanded", id: "k1", command });
}

/** @param {...Line} lines */
const customer = (...lines) => nextCard(state(CUSTOMER, ...lines), "customer", NOW)?.card ?? null;
/** @param {...Line} lines */
const courier = (...lines) => nextCard(state(COURIER, ...lines), "courier", NOW)?.card ?? null;

test("each party sees what is next for them, from the first notice to the confirmed receipt", () => {
  /** @type {[Line[], string | null, string][]} */
  const story = [
    [[], null, "begin"],
    [[SENT], "choose", "awaiting"],
    [[SENT, ANSWERED], "answered", "answer"],
    [[SENT, ANSWERED, ["answer_taken", COURIER, { number: 2 }]], "answered", "go"],
    [[SENT, ANSWERED, ["handed_over", COURIER, HANDED_OVER]], "receipt", "unconfirmed"],
    [
      [SENT, ANSWERED, ["handed_over", COURIER, HANDED_OVER], ["confirmed", CUSTOMER, { number: 3 }]],
      "confirmed",
      "confirmed",
    ],
    [
      [SENT, ANSWERED, ["handed_over", COURIER, HANDED_OVER], ["receipt_refused", CUSTOMER, { number: 3 }]],
      "refused",
      "refused",
    ],
  ];
  for (const [lines, mine, theirs] of story) {
    assert.equal(customer(...lines), mine);
    assert.equal(courier(...lines), theirs);
  }
});

test("after a refusal a new notice begins anew", () => {
  /** @type {Line[]} */
  const lines = [["handed_over", COURIER, HANDED_OVER], ["receipt_refused", CUSTOMER, { number: 1 }], SENT];
  assert.equal(customer(...lines), "choose");
  assert.equal(courier(...lines), "awaiting");
});

test("a decision of the desk comes before all else of the courier, then the answer, then a change", () => {
  /** @type {Line[]} */
  const lines = [
    SENT,
    ["change_requested", CUSTOMER, CHANGE],
    ["exception_reported", COURIER, REPORT],
    ANSWERED,
    ["exception_decided", QA, { number: 3, decision: "go_on", label: LABEL, remark: null }],
  ];
  assert.equal(courier(...lines), "decision");
  lines.push(["exception_acknowledged", COURIER, { number: 3, decided: 5 }]);
  assert.equal(courier(...lines), "answer");
  lines.push(["answer_taken", COURIER, { number: 4 }]);
  assert.equal(courier(...lines), "change");
  lines.push(["change_answered", COURIER, { number: 2, accepted: false }]);
  assert.equal(courier(...lines), "go");
});

test("an unanswered notice offers the courier what they may do", () => {
  assert.equal(
    courier(SENT, ["notice_unanswered", "system", { number: 1, text: LABEL, options: [] }]),
    "unanswered",
  );
});

test("what was tapped counts as done, and says that it waits", () => {
  const answering = tapped(state(CUSTOMER, SENT), { kind: "answer", number: 1, choice: "door" });
  const next = nextCard(answering, "customer", NOW);
  assert.ok(next?.card === "answered" && next.waiting);
  assert.deepEqual(next.answer.label, LABEL);
  const handing = tapped(state(COURIER), { kind: "hand_over", how: "door" });
  assert.deepEqual(nextCard(handing, "courier", NOW), { card: "handing_over", how: "door" });
  const confirming = tapped(state(CUSTOMER, ["handed_over", COURIER, HANDED_OVER]), {
    kind: "confirm",
    number: 1,
    statement: "I have it",
    language: "en",
  });
  const receipt = nextCard(confirming, "customer", NOW);
  assert.ok(receipt?.card === "receipt" && receipt.waiting);
  const taking = tapped(state(COURIER, SENT, ANSWERED), { kind: "take_answer", number: 2 });
  const answer = nextCard(taking, "courier", NOW);
  assert.ok(answer?.card === "answer" && answer.waiting);
});

test("a customer may choose anew until the courier acts on the answer", () => {
  const changing = { changing: true };
  const open = nextCard(state(CUSTOMER, SENT, ANSWERED), "customer", changing);
  assert.ok(open?.card === "choose" && open.changing);
  const taken = state(CUSTOMER, SENT, ANSWERED, ["answer_taken", COURIER, { number: 2 }]);
  assert.equal(nextCard(taken, "customer", changing)?.card, "answered");
});

test("guests and the desk have no card; an ended case only the receipt that was confirmed", () => {
  assert.equal(nextCard(state(CUSTOMER, SENT), "guest", NOW), null);
  assert.equal(customer(SENT, ["case_ended", QA, { reason: "ended_by_qa" }]), null);
  const confirmed = ["confirmed", CUSTOMER, { number: 1 }];
  const ended = ["case_ended", QA, { reason: "ended_by_qa" }];
  const lines = /** @type {Line[]} */ ([["handed_over", COURIER, HANDED_OVER], confirmed, ended]);
  assert.equal(customer(...lines), "confirmed");
});

test("a notice without choices is told until a later one asks for an answer", () => {
  const told = /** @type {Line} */ (["notice_sent", COURIER, { ...NOTICE, choices: [] }]);
  assert.equal(toldLast(state(CUSTOMER, SENT, told), "customer")?.envelope.number, 2);
  assert.equal(toldLast(state(CUSTOMER, told, SENT), "customer"), null);
  assert.equal(toldLast(state(COURIER, told), "courier"), null);
});

test("a call rings until it is over, was declined or is on its way to be", () => {
  const until = Date.parse(AT) + 45_000;
  const rung = /** @type {Line} */ ([
    "call_rung",
    QA,
    { call_number: 1, of: [CUSTOMER], absent: [], until: new Date(until).toISOString() },
  ]);
  const rings = state(CUSTOMER, ["call_started", QA, { call_number: 1 }], rung);
  assert.equal(ringing(rings, until - 1)?.call_number, 1);
  assert.equal(ringing(rings, until), null, "the time is up, though no entry says so yet");
  assert.equal(ringing(state(COURIER, rung), until - 1), null, "it rings at another's");
  assert.equal(ringing(tapped(rings, { kind: "decline_call" }), until - 1), null);
  assert.equal(ringing({ ...rings, wants_call: true }, until - 1), null);
  assert.equal(callerOf(rings, 1), QA);
  assert.equal(callerOf(rings, 2), null);
});

test("a missed call is told until the person has been in a later one", () => {
  const missed = /** @type {Line} */ (["call_missed", "system", { call_number: 1, of: [CUSTOMER] }]);
  assert.equal(missedCall(state(CUSTOMER, missed))?.envelope.number, 1);
  assert.equal(missedCall(state(COURIER, missed)), null);
  const started = /** @type {Line} */ (["call_started", QA, { call_number: 2 }]);
  assert.equal(missedCall(state(CUSTOMER, missed, started)), null, "another call is on");
  const joined = /** @type {Line} */ (["joined", CUSTOMER, { call_number: 2 }]);
  const over = /** @type {Line} */ (["call_ended", CUSTOMER, { call_number: 2 }]);
  assert.equal(missedCall(state(CUSTOMER, missed, started, joined, over)), null);
});

test("the cards tell of what was refused of their own commands, and of no others", () => {
  assert.equal(isOfParcel({ kind: "take_answer", number: 2 }), true);
  assert.equal(isOfParcel({ kind: "text", text: "hello" }), false);
  assert.equal(isOfParcel(null), false);
});

test("a parcel that was confirmed is delivered, with a reservation and a decision that waits too", () => {
  /** @type {Line[]} */
  const lines = [
    ["handed_over", COURIER, HANDED_OVER],
    ["confirmed", CUSTOMER, { number: 1, reservation: "a dent" }],
    ["exception_reported", CUSTOMER, REPORT],
    ["exception_decided", QA, { number: 3, decision: "go_on", label: LABEL, remark: null }],
  ];
  assert.equal(courier(...lines), "decision");
  assert.equal(isDelivered(state(COURIER, ...lines)), true);
  const refused = /** @type {Line} */ (["receipt_refused", CUSTOMER, { number: 1 }]);
  assert.equal(isDelivered(state(COURIER, ["handed_over", COURIER, HANDED_OVER], refused)), false);
  assert.equal(isDelivered(state(COURIER)), false);
});

test("what was asked before the hand-over is asked no more, and a later notice asks anew", () => {
  const over = /** @type {Line} */ (["handed_over", COURIER, HANDED_OVER]);
  assert.equal(state(CUSTOMER, SENT).parcel.notice?.closed, false);
  assert.equal(state(CUSTOMER, SENT, over).parcel.notice?.closed, true);
  assert.equal(state(CUSTOMER, SENT, over, SENT).parcel.notice?.closed, false);
});

test("a call that was missed cannot be called back in a case that has ended", () => {
  const missed = /** @type {Line} */ (["call_missed", "system", { call_number: 1, of: [CUSTOMER] }]);
  const ended = state(CUSTOMER, missed);
  assert.equal(missedCall({ ...ended, case: ended.case && { ...ended.case, state: "ended" } }), null);
});
