// @ts-check
/** A picture that stands says what is so, and how old it is. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Freshness, standingWords } from "../../web/standing.js";
import { INITIAL, isSharp, pictureOf, reduce } from "../../web/state.js";
import { watchedLines } from "../../web/watched.js";
import { WORDS } from "../../web/words.js";

test("a picture is as old as the newest that was shown", () => {
  const freshness = new Freshness();
  assert.equal(freshness.handleReading(0, 10), null);
  assert.equal(freshness.handleReading(3, 11), 0);
  assert.equal(freshness.handleReading(3, 15), 4);
  assert.equal(freshness.handleReading(4, 16), 0);
  assert.equal(freshness.handleReading(0, 17), null, "another stream has shown nothing");
});

test("a moving picture needs no words", () => {
  assert.deepEqual(standingWords("live", 3, WORDS.en), { what: "", age: "" });
});

test("a paused picture says whose network it is, that sound goes on, and from when the picture is", () => {
  assert.deepEqual(standingWords("paused", 4.9, WORDS.en), {
    what: "Picture paused: your network is too weak. Sound goes on.",
    age: "4 s ago",
  });
  assert.equal(standingWords("stills", 0.2, WORDS.en).age, "Just now");
  assert.equal(standingWords("paused", 150, WORDS.zh).age, "2 分钟前");
  assert.equal(standingWords("paused", null, WORDS.en).age, "");
});

/** @param {any} event */
const received = (event) => reduce(INITIAL, { type: "received", message: { type: "event", event }, at: 0 });

test("who stands and who is sharp is told by the slots; older services tell neither", () => {
  const slot = { slot: 0, actor_id: "l_a", audio_mid: "0", video_mid: "1" };
  const now = received({ kind: "slots", slots: [{ ...slot, picture: "stills", sharp: true }] });
  assert.deepEqual(
    [pictureOf(now, "l_a"), isSharp(now, "l_a"), isSharp(now, "l_b")],
    ["stills", true, false],
  );
  const before = received({ kind: "slots", slots: [slot] });
  assert.deepEqual([pictureOf(before, "l_a"), isSharp(before, "l_a")], ["live", false]);
});

test("what the own camera is asked for is kept, and says whether it is sharp", () => {
  const encodings = [{ rid: "high", max_bitrate_bps: 0 }];
  const you = /** @type {const} */ ({ actor_id: "l_me", role: "customer", name: "me", session_id: "s" });
  const state = { ...received({ kind: "encodings", encodings, sharp: true }), you };
  assert.deepEqual(state.orders, { encodings, sharp: true });
  assert.equal(isSharp(state, "l_me"), true);
});

const NUMBERS = {
  sent: { bitrate_bps: 0, loss_permille: 0 },
  received: { bitrate_bps: 0, loss_permille: 0 },
  round_trip_ms: null,
  playback: null,
};

test("QA reads which encoding somebody gets, and why no better one", () => {
  const state = { ...INITIAL, known: { l_a: { role: /** @type {const} */ ("courier"), name: "Li" } } };
  const watched = [
    {
      actor_id: "l_a",
      rid: "mid",
      temporal_layers: 2,
      bitrate_bps: 240_000,
      picture: /** @type {const} */ ("live"),
      reason: /** @type {const} */ ("network"),
    },
  ];
  assert.deepEqual(watchedLines({ ...NUMBERS, watched, limit: "delay" }, state, WORDS.en), [
    "Sees Li · middle · half as fluent · 240 kbit/s · no more fits their network",
    "Held by: queues grew on the way",
  ]);
  const you = /** @type {const} */ ({ actor_id: "l_a", role: "qa", name: "Li", session_id: "s" });
  const [of_me] = watchedLines({ ...NUMBERS, watched }, { ...state, you }, WORDS.zh);
  assert.equal(of_me, "看您 · 中清 · 半流畅 · 240 千比特/秒 · 其网络承载不了更多");
});

test("stills are named as such, encodings without a name are the only one, and what is not known is left out", () => {
  /** @type {any} */
  const one = {
    actor_id: "l_a",
    rid: null,
    temporal_layers: null,
    bitrate_bps: 9000,
    picture: "live",
    reason: null,
  };
  const lines = watchedLines(
    { ...NUMBERS, watched: [one, { ...one, rid: "low", picture: "stills" }] },
    { ...INITIAL, known: { l_a: { role: "courier", name: "Li" } } },
    WORDS.en,
  );
  assert.deepEqual(lines, ["Sees Li · one size · 9 kbit/s", "Sees Li · stills · 9 kbit/s"]);
  assert.deepEqual(watchedLines(NUMBERS, INITIAL, WORDS.zh), []);
});
