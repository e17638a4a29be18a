// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { MediaLife } from "../../web/media_life.js";

function life() {
  return new MediaLife({ random: () => 0 });
}

const OPEN = { kind: "open" };
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

test("a short silence mends itself", () => {
  const media = connected();
  assert.deepEqual(media.handleConnectionState("disconnected", 5), [STATE("reconnecting")]);
  assert.deepEqual(media.handleConnectionState("connected", 6), [STATE("connected")]);
  assert.equal(media.nextDeadline, Infinity);
});

test("a long silence brings a fresh connection", () => {
  const media = connected();
  media.handleConnectionState("disconnected", 5);
  assert.deepEqual(media.handleTimeout(7), []);
  assert.deepEqual(media.handleTimeout(7.5), [CLOSE, OPEN, STATE("reconnecting")]);
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
  media.handleServerView("none", 10);
  assert.deepEqual(media.handleTimeout(10.5), []);
  media.handleServerView("connected", 10.5);
  assert.equal(media.nextDeadline, Infinity);
  media.handleServerView("none", 20);
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
