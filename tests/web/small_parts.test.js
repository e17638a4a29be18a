// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, PATIENT } from "../../web/backoff.js";
import { tileState } from "../../web/play_tile.js";
import { add, NOTHING_PLAYED, Playback, readPlayed } from "../../web/playback.js";
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

test("what can wait is tried again at longer and longer times, once a minute in the end", () => {
  const backoff = new Backoff(() => 1, PATIENT);
  assert.deepEqual(
    Array.from({ length: 6 }, () => backoff.next()),
    [5, 10, 20, 40, 60, 60],
  );
  backoff.reset();
  assert.equal(backoff.next(), 5);
});

test("what was played is summed over all that is received, in whole numbers", () => {
  const report = [
    {
      type: "inbound-rtp",
      framesDecoded: 50,
      freezeCount: 1,
      totalFreezesDuration: 0.3204,
      totalSamplesReceived: 0,
    },
    {
      type: "inbound-rtp",
      totalSamplesReceived: 96_000,
      concealedSamples: 1500,
      silentConcealedSamples: 540,
    },
    { type: "inbound-rtp" }, // Firefox counts no freezes
    { type: "outbound-rtp", framesEncoded: 50 },
    { type: "codec" },
  ];
  const played = { frames: 50, freezes: 1, frozen_ms: 320, audio_samples: 96_000, concealed_samples: 960 };
  assert.deepEqual(readPlayed(report), played);
  assert.deepEqual(readPlayed([]), NOTHING_PLAYED);
});

test("a connection tells what it has played since it last told", () => {
  const playback = new Playback();
  const first = { ...NOTHING_PLAYED, frames: 40, concealed_samples: 100 };
  assert.deepEqual(playback.handleReading(first), first);
  const second = playback.handleReading({ ...first, frames: 90, concealed_samples: 80 });
  assert.deepEqual(second, { ...NOTHING_PLAYED, frames: 50 }, "never less than nothing");
  assert.deepEqual(add(first, second), { ...first, frames: 90 });
  const odd = playback.handleReading({ ...first, frames: 2 ** 40, freezes: Number.NaN });
  assert.deepEqual([odd.frames, odd.freezes], [2 ** 32, 0], "nothing that the service would refuse");
});

test("of a long list only the rows in sight exist", () => {
  assert.deepEqual(windowOf({ top: 0, height: 320, row: 32, count: 10_000 }), { first: 0, last: 18 });
  assert.deepEqual(windowOf({ top: 32_000, height: 320, row: 32, count: 10_000 }), {
    first: 992,
    last: 1018,
  });
  assert.deepEqual(windowOf({ top: 0, height: 0, row: 32, count: 0 }), { first: 0, last: 0 });
});

test("where a playback has no picture of somebody it says why", () => {
  const there = { state: /** @type {const} */ ("there"), flowing: true };
  const shown = { due: there, lost: false, silent: false, unfinished: false };
  assert.equal(tileState(shown), "shown");
  assert.equal(
    tileState({ ...shown, lost: true }),
    "lost",
    "what the file holds of a lost moment is an old picture",
  );
  assert.equal(tileState({ ...shown, silent: true }), "no_picture");
  assert.equal(tileState({ ...shown, due: { ...there, flowing: false } }), "buffering");
  assert.equal(tileState({ ...shown, due: { ...there, state: "asked" } }), "assembling");
  assert.equal(tileState({ ...shown, due: { ...there, state: "failed" } }), "failed");
  assert.equal(tileState({ ...shown, due: { ...there, state: "failed" }, unfinished: true }), "unfinished");
  assert.equal(tileState({ ...shown, due: null }), "absent");
  assert.equal(tileState({ ...shown, due: null, lost: true }), "lost");
});
