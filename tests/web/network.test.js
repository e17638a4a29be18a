// @ts-check
/** Whose network is told, in which words, and when nothing can be said. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { networkOf, networkSentence, patience } from "../../web/network.js";
import { INITIAL, reduce } from "../../web/state.js";
import { WORDS } from "../../web/words.js";

const [ME, COURIER, QA] = ["l_me", "l_courier", "l_qa"];

/**
 * @param {Record<string, import("../../web/protocol.js").Level>} levels
 * @param {Record<string, import("../../web/protocol.js").MediaConnection>} [connections]
 * @returns {import("../../web/state.js").State}
 */
function call(levels, connections = {}) {
  const roles = /** @type {const} */ ({ [ME]: "customer", [COURIER]: "courier", [QA]: "qa" });
  const people = [ME, COURIER, QA].map((actor_id) => ({
    actor_id,
    role: roles[actor_id] ?? "qa",
    name: actor_id,
    online: true,
    in_call: true,
    connection: connections[actor_id] ?? /** @type {const} */ ("connected"),
    audio_muted: false,
    video_muted: false,
  }));
  const qualities = Object.entries(levels).map(([actor_id, level]) => ({
    actor_id,
    level,
    sent: level,
    received: level,
    sent_repair_ms: 0,
    received_repair_ms: 0,
    numbers: null,
  }));
  /** @type {import("../../web/state.js").State} */
  let state = {
    ...INITIAL,
    socket: "live",
    media: "connected",
    you: { actor_id: ME, role: "customer", name: "me", session_id: "s" },
    call: { call_number: 1, started_at: "2026-11-22T14:03:22.123Z", in_call: [ME, COURIER, QA] },
  };
  for (const event of /** @type {const} */ ([
    { kind: "presence", people },
    { kind: "quality", people: qualities },
  ])) {
    state = reduce(state, { type: "received", message: { type: "event", event }, at: 0 });
  }
  return state;
}

/** @param {import("../../web/state.js").State} state */
function told(state) {
  const one = networkSentence(state, WORDS.en);
  return one && [one.network, one.of, one.sentence];
}

test("one's own network comes first, then the worst of the others'", () => {
  const good = { [ME]: "good", [COURIER]: "good", [QA]: "good" };
  /** @type {[any, any, any][]} */
  const table = [
    [good, {}, ["good", ME, "Your network is good"]],
    [{ ...good, [ME]: "fair" }, {}, ["fair", ME, "Your network is fair"]],
    [{ ...good, [COURIER]: "fair" }, {}, ["good", ME, "Your network is good"]],
    [{ ...good, [COURIER]: "weak" }, {}, ["weak", COURIER, "The courier's network is weak. Sound goes on."]],
    [{ ...good, [QA]: "weak" }, {}, ["weak", QA, "Quality check's network is weak. Sound goes on."]],
    [{ ...good, [ME]: "weak", [COURIER]: "weak" }, {}, ["weak", ME, "Your network is weak. Sound goes on."]],
    [
      { ...good, [QA]: "weak" },
      { [COURIER]: "silent" },
      ["silent", COURIER, "The courier's network is gone. Coming back…"],
    ],
    [
      { ...good, [COURIER]: "weak" },
      { [ME]: "silent" },
      ["silent", ME, "Nothing of yours gets through. Coming back…"],
    ],
    [{}, {}, null],
  ];
  for (const [levels, connections, sentence] of table) {
    assert.deepEqual(told(call(levels, connections)), sentence);
  }
});

test("the customer is 您, the others are told by their role", () => {
  const words = WORDS.zh;
  assert.equal(networkSentence(call({ [ME]: "weak" }), words)?.sentence, "您的网络较弱，声音不会断。");
  assert.equal(
    networkSentence(call({ [ME]: "good", [COURIER]: "weak" }), words)?.sentence,
    "快递员的网络较弱，声音不会断。",
  );
});

test("what nobody can know is not told", () => {
  const state = call({ [ME]: "good", [COURIER]: "weak" });
  assert.equal(networkOf({ ...state, media: "reconnecting" }, ME), null, "the page says that elsewhere");
  assert.equal(networkOf(state, "l_nobody"), null);
  const offline = reduce(state, { type: "socket", state: "offline" });
  assert.deepEqual(offline.qualities, [], "without a socket nobody can say");
  const left = { ...state, people: state.people.map((person) => ({ ...person, in_call: false })) };
  assert.equal(networkOf(left, COURIER), null);
});

test("a slot waits as long as repairs take on both ways to it", () => {
  const slow = { [ME]: [900, 250], [COURIER]: [350, 900], [QA]: [0, 900] };
  const state = call({ [ME]: "good", [COURIER]: "good", [QA]: "good" });
  const qualities = state.qualities.map((quality) => {
    const [sent_repair_ms = 0, received_repair_ms = 0] = slow[quality.actor_id] ?? [];
    return { ...quality, sent_repair_ms, received_repair_ms };
  });
  const slots = [
    { slot: 0, actor_id: COURIER, audio_mid: "2", video_mid: "3" },
    { slot: 1, actor_id: QA, audio_mid: "4", video_mid: null },
    { slot: 2, actor_id: "l_unmeasured", audio_mid: "6", video_mid: "7" },
  ];
  const waits = Object.fromEntries(patience({ ...state, qualities, slots }));
  assert.deepEqual(waits, { 2: 600, 3: 600, 4: 250, 6: 250, 7: 250 });
  assert.deepEqual(
    [...patience({ ...state, qualities: [], slots })].map(([, wait_ms]) => wait_ms),
    [0, 0, 0, 0, 0],
    "without a reading nobody waits",
  );
  assert.equal(patience({ ...state, qualities, slots: [] }).size, 0);
});
