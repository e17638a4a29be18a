// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { mostUrgent, newsOf } from "../../web/parcel_news.js";

/** @param {string} kind @param {any} [body] @param {string} [actor_id] */
const entry = (kind, body = {}, actor_id = "l_other") =>
  /** @type {any} */ ({ envelope: { kind, actor_id, number: 1 }, body });

test("what is new is heard by whom it is for, whatever card they look at", () => {
  /** @type {[import("../../web/protocol.js").Entry, string | null, string | null][]} */
  const table = [
    [entry("notice_sent", { to: "customer" }), "notice", null],
    [entry("notice_sent", { to: "courier" }), null, "notice"],
    [entry("notice_repeated"), "notice", null],
    [entry("handed_over"), "notice", null],
    [entry("answered"), null, "answer"],
    [entry("change_requested"), null, "notice"],
    [entry("notice_unanswered"), null, "notice"],
    [entry("confirmed"), null, "answer"],
    [entry("receipt_refused"), null, "decision"],
    [entry("exception_decided"), "notice", "decision"],
    [entry("text"), null, null],
    [entry("receipt"), null, null],
  ];
  for (const [said, customer, courier] of table) {
    assert.equal(newsOf(said, "customer", "l_me"), customer, said.envelope.kind);
    assert.equal(newsOf(said, "courier", "l_me"), courier, said.envelope.kind);
    assert.equal(newsOf(said, "guest", "l_me"), null);
  }
});

test("nobody hears what they said themselves, on another device, or what they may not see", () => {
  assert.equal(newsOf(entry("answered", {}, "l_me"), "courier", "l_me"), null);
  assert.equal(newsOf(entry("exception_decided", null), "courier", "l_me"), null);
});

test("of several at once the most urgent is heard", () => {
  assert.equal(mostUrgent(["notice", "decision", "answer"]), "decision");
  assert.equal(mostUrgent(["notice", "answer"]), "answer");
  assert.equal(mostUrgent([]), null);
});
