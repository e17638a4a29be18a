// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { MediaLife } from "../../web/media_life.js";

function life() {
  return new MediaLife({ random: () => 0 });
}

const OPEN = { kind: "open" };
const RESTART = { kind: "restart" };
const CLOSE = { kind: "close" };
/** @param {string} state */
const STATE = (state) => ({ kind: "state", state });

function connected() {
  const media = life();
  media.handleStart(0);
  media.handleConnectionState("connected", 1);
  return media;
}

test("it opens once, whoever asks again", () => {
  const media = life();
  assert.deepEqual(media.handleStart(0), [OPEN, STATE("connecting")]);
  assert.deepEqual(media.handleStart(0), []);
});

test("a silence asks for new ways, and ends with the first sign of life", () => {
  for (const mend of [
    (/** @type {MediaLife} */ media) => media.handleConnectionState("connected", 6),
    (/** @type {MediaLife} */ media) => media.handleHeard(),
  ]) {
    const media = connected();
    assert.deepEqual(media.handleSilence(5), [RESTART, STATE("reconnecting")]);
    assert.deepEqual(media.handleConnectionState("disconnected", 5.1), []);
    assert.deepEqual(media.handleRestarted(5.2), []);
    assert.deepEqual(mend(media), [STATE("connected")]);
    assert.equal(media.nextDeadline, Infinity);
  }
});

test("a restart that was answered and does not help is followed by a fresh connection", () => {
  const media = connected();
  assert.deepEqual(media.handleConnectionState("disconnected", 5), [RESTART, STATE("reconnecting")]);
  assert.equal(media.nextDeadline, Infinity);
  media.handleRestarted(5.1);
  assert.deepEqual(media.handleTimeout(8), []);
  assert.deepEqual(media.handleTimeout(8.1), [CLOSE, OPEN, STATE("reconnecting")]);
});

test("a session that the server does not know is replaced at once", () => {
  for (const status of [404, 409, 412]) {
    const media = connected();
    media.handleSilence(5);
    assert.deepEqual(media.handleRestartRefused(status, 5.1), [CLOSE, OPEN, STATE("reconnecting")]);
  }
});

test("while the server cannot be reached the connection is kept for half a minute and asked for again", () => {
  const media = connected();
  media.handleSilence(5);
  let restarts = 0;
  let now = 5;
  for (;;) {
    now += 3; // the request times out
    assert.deepEqual(media.handleRestartRefused(0, now), []);
    now = media.nextDeadline;
    const [first] = media.handleTimeout(now);
    if (first?.kind !== "restart") {
      assert.deepEqual(first, CLOSE);
      break;
    }
    restarts += 1;
  }
  assert.ok(restarts >= 3 && now >= 35 && now < 45, `${restarts} restarts until ${now}`);
});

test("another network restarts a connection that still seems well, once for several signs of it", () => {
  const media = connected();
  assert.deepEqual(media.handleNetworkChange(5), [RESTART]);
  assert.deepEqual(media.handleNetworkChange(5.1), []);
  assert.deepEqual(media.handleRestartRefused(0, 5.2), [], "nothing is lost");
  assert.deepEqual(media.handleSilence(6), [RESTART, STATE("reconnecting")]);
  assert.deepEqual(media.handleNetworkChange(8), [RESTART]);
  assert.deepEqual(media.handleWake(10), [RESTART]);
});

test("who hears but is not heard looks for new ways, and is not connected before the server hears", () => {
  const media = connected();
  assert.deepEqual(media.handleServerView("silent", "ours", 5), [RESTART, STATE("reconnecting")]);
  assert.deepEqual(media.handleServerView("silent", "ours", 5.1), []);
  assert.deepEqual(media.handleHeard(), []);
  media.handleServerView("connected", "ours", 5.5);
  assert.deepEqual(media.handleHeard(), [STATE("connected")]);
});

test("who comes through by no direct way in three seconds tries a relay, if there is one", () => {
  const media = life();
  media.handleStart(0);
  media.handleAnswered(true, 0.1);
  assert.deepEqual(media.handleTimeout(3), []);
  assert.deepEqual(media.handleTimeout(3.1), [RESTART]);
  assert.deepEqual(media.handleRestarted(3.2), []);
  assert.deepEqual(media.handleConnectionState("connected", 4), [STATE("connected")]);
  const without = life();
  without.handleStart(0);
  without.handleAnswered(false, 0.1);
  assert.equal(without.nextDeadline, 10);
});

test("a failed connection is followed by a fresh one after the back-off", () => {
  const media = connected();
  assert.deepEqual(media.handleConnectionState("failed", 5), [CLOSE, STATE("reconnecting")]);
  assert.deepEqual(media.handleTimeout(media.nextDeadline), [CLOSE, OPEN, STATE("reconnecting")]);
});

test("an offer that gets no answer is made again, a refused one is not", () => {
  for (const status of [0, 500, 503, 429]) {
    const media = life();
    media.handleStart(0);
    assert.deepEqual(media.handleRefused(status, 1), [CLOSE, STATE("connecting")]);
    assert.ok(media.nextDeadline < 2);
  }
  for (const status of [400, 401, 403, 404, 409, 410]) {
    const media = life();
    media.handleStart(0);
    assert.deepEqual(media.handleRefused(status, 1), [CLOSE, STATE("refused")]);
    assert.equal(media.nextDeadline, Infinity);
  }
});

test("a handshake that never ends is begun anew", () => {
  const media = life();
  media.handleStart(0);
  assert.deepEqual(media.handleTimeout(10), [CLOSE, STATE("connecting")]);
});

test("a server that knows nothing of the connection gets a fresh one, after a moment's doubt", () => {
  const media = connected();
  media.handleServerView("none", "ours", 10);
  assert.deepEqual(media.handleTimeout(10.5), []);
  media.handleServerView("connected", "ours", 10.5);
  assert.equal(media.nextDeadline, Infinity);
  media.handleServerView("none", "ours", 20);
  assert.deepEqual(media.handleTimeout(20.6), [CLOSE, OPEN, STATE("reconnecting")]);
});

test("the network coming back ends the waiting", () => {
  const media = connected();
  media.handleConnectionState("failed", 5);
  assert.deepEqual(media.handleWake(5.01), [CLOSE, OPEN, STATE("reconnecting")]);
});

test("stopped, nothing happens any more", () => {
  const media = connected();
  assert.deepEqual(media.handleStop(), [CLOSE, STATE("none")]);
  assert.deepEqual(media.handleConnectionState("failed", 5), []);
  assert.deepEqual(media.handleWake(5), []);
  assert.equal(media.nextDeadline, Infinity);
  assert.deepEqual(media.handleStart(6), [OPEN, STATE("connecting")]);
});

test("a connection that another device has taken rests, and is made anew only when it is wanted", () => {
  const media = connected();
  assert.deepEqual(media.handleServerView("connecting", "other", 5), []);
  assert.equal(media.nextDeadline, 5.6);
  assert.deepEqual(media.handleServerView("connected", "other", 5.3), []);
  assert.deepEqual(media.handleTimeout(5.6), [CLOSE, STATE("elsewhere")]);
  assert.equal(media.nextDeadline, Infinity);
  assert.deepEqual(media.handleConnectionState("closed", 6), []);
  assert.deepEqual(media.handleWake(6), []);
  assert.deepEqual(media.handleNetworkChange(6), []);
  assert.deepEqual(media.handleServerView("none", "nobody", 6), []);
  assert.deepEqual(media.handleStart(7), [OPEN, STATE("connecting")]);
});

test("the server's view may be older than the connection: a moment's other name is nothing", () => {
  const media = connected();
  media.handleServerView("connected", "other", 5);
  media.handleServerView("connected", "ours", 5.2);
  assert.equal(media.nextDeadline, Infinity);
  assert.deepEqual(media.handleTimeout(5.6), []);
});

test("while a connection is made, another's name does not end it; an answer of 412 does", () => {
  const media = life();
  media.handleStart(0);
  media.handleServerView("connected", "other", 0.1);
  assert.deepEqual(media.handleTimeout(0.7), []);
  assert.deepEqual(media.handleRefused(412, 1), [CLOSE, STATE("elsewhere")]);
  assert.deepEqual(media.handleStart(2), [OPEN, STATE("connecting")], "the person wants it here");
});

test("a lost connection does not come back by itself while the call goes on elsewhere", () => {
  const media = connected();
  media.handleConnectionState("failed", 5);
  media.handleServerView("connecting", "other", 5);
  assert.equal(media.nextDeadline, 5.125, "it may be ours, whose answer never came");
  const other = connected();
  other.handleSilence(5);
  other.handleServerView("connected", "other", 5);
  assert.deepEqual(other.handleTimeout(5.6), [CLOSE, STATE("elsewhere")]);
});
