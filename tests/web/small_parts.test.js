// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../../web/backoff.js";
import { qualityOf, readStatistics, SteadyQuality } from "../../web/quality.js";
import { readToken } from "../../web/token.js";
import { windowOf } from "../../web/windowed_list.js";

/** @param {any} claims */
function token(claims) {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
}

test("a link's token says its case, a desk's its name", () => {
  const link = readToken(token({ typ: "link", case: "c_abc", sub: "l_1", role: "customer", exp: 7 }));
  assert.equal(link?.case_id, "c_abc");
  assert.equal(link?.actor_id, "l_1");
  const desk = readToken(token({ typ: "desk", sub: "d_1", name: "质检一组", exp: 7 }));
  assert.equal(desk?.case_id, null);
  assert.equal(desk?.name, "质检一组");
});

test("anything else is no token, and never an error", () => {
  const foreign = token({ typ: "link", case: "../../other", sub: "l_1" });
  for (const text of [
    "",
    "a.b",
    "a.b.c",
    "a.!!.c",
    token(null),
    token({}),
    token({ typ: "admin" }),
    foreign,
  ]) {
    assert.equal(readToken(text), null, text);
  }
});

test("a crowd does not come back in step", () => {
  const [early, late] = [new Backoff(() => 0), new Backoff(() => 0.999)];
  assert.ok(late.next() > early.next());
});

test("the network falls at once and rises after two good readings", () => {
  const steady = new SteadyQuality();
  const reading = { received: 100, lost: 0, their_loss: 0, round_trip_s: 0.05 };
  assert.equal(steady.handleReading(reading), "good");
  assert.equal(steady.handleReading({ ...reading, received: 180, lost: 20 }), "weak");
  assert.equal(steady.handleReading({ ...reading, received: 280, lost: 20 }), "weak");
  assert.equal(steady.handleReading({ ...reading, received: 380, lost: 20 }), "good");
});

test("quality is the worse of loss and delay", () => {
  const reading = { received: 100, lost: 0, their_loss: 0, round_trip_s: 0 };
  assert.equal(qualityOf(null, { ...reading, round_trip_s: 0.4 }), "fair");
  assert.equal(qualityOf(null, { ...reading, their_loss: 0.2 }), "weak");
  assert.equal(qualityOf(null, { ...reading, lost: 5 }), "fair");
});

test("statistics of all streams are summed", () => {
  const report = [
    { type: "inbound-rtp", packetsReceived: 10, packetsLost: 1 },
    { type: "inbound-rtp", packetsReceived: 5, packetsLost: -2 },
    { type: "remote-inbound-rtp", fractionLost: 0.25 },
    { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.08 },
    { type: "codec" },
  ];
  assert.deepEqual(readStatistics(report), { received: 15, lost: 1, their_loss: 0.25, round_trip_s: 0.08 });
});

test("of a long list only the rows in sight exist", () => {
  assert.deepEqual(windowOf({ top: 0, height: 320, row: 32, count: 10_000 }), { first: 0, last: 18 });
  assert.deepEqual(windowOf({ top: 32_000, height: 320, row: 32, count: 10_000 }), {
    first: 992,
    last: 1018,
  });
  assert.deepEqual(windowOf({ top: 0, height: 0, row: 32, count: 0 }), { first: 0, last: 0 });
});
