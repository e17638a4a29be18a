// @ts-check
/** What the uplink carries, and what a starved one means for the voice. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { outgoingOf, SteadyUplink, Uplink, WholePicture, writeVoice } from "../../web/uplink.js";

test("what gets through is read from the way that is used", () => {
  const other = { type: "candidate-pair", nominated: false, availableOutgoingBitrate: 1 };
  const used = { type: "candidate-pair", nominated: true, availableOutgoingBitrate: 300_000.4 };
  assert.equal(outgoingOf([other, { type: "codec" }, used]), 300_000);
  assert.equal(outgoingOf([other, { type: "candidate-pair", nominated: true }]), null);
});

test("one low reading is a slip, two are a starved uplink", () => {
  const uplink = new Uplink();
  assert.deepEqual(
    [100_000, 300_000, 100_000, 100_000].map((bps) => uplink.handleReading(bps)),
    [false, false, false, true],
  );
  assert.equal(uplink.starved, true);
});

test("it is over only when clearly more has got through for a while", () => {
  const uplink = new Uplink();
  uplink.handleReading(60_000);
  uplink.handleReading(60_000);
  const border = Array.from({ length: 50 }, () => uplink.handleReading(150_000));
  assert.ok(uplink.starved && !border.includes(true));
  const plenty = Array.from({ length: 10 }, () => uplink.handleReading(400_000));
  assert.deepEqual(plenty.indexOf(true), 9);
  assert.equal(uplink.starved, false);
});

test("a browser that does not say how much gets through is not starved", () => {
  const uplink = new Uplink();
  for (let reading = 0; reading < 5; reading += 1) assert.equal(uplink.handleReading(null), false);
  assert.equal(uplink.starved, false);
});

/** What is believed after each reading. @param {readonly (number | null)[]} readings */
function believed(readings) {
  const uplink = new SteadyUplink();
  return readings.map((bps) => {
    const before = uplink.bps;
    assert.equal(uplink.handleReading(bps), uplink.bps !== before);
    return uplink.bps;
  });
}

test("a fall of the uplink counts at once, a rise after four readings that all say so", () => {
  assert.deepEqual(believed([900_000, 500_000]), [900_000, 500_000]);
  const risen = believed([500_000, ...Array.from({ length: 12 }, () => 900_000)]);
  assert.equal(risen.indexOf(900_000), 4);
  assert.equal(
    believed([500_000, ...Array.from({ length: 3 }, () => 900_000), 520_000, 900_000]).at(-1),
    500_000,
  );
});

test("an estimate that goes up and down a little, for ever, is one uplink", () => {
  const saw = Array.from({ length: 400 }, (_, reading) => 500_000 * (1 + 0.018 * (reading % 11)));
  assert.deepEqual(new Set(believed(saw)), new Set([500_000]));
});

test("who has never said what gets through is not believed to carry little", () => {
  assert.deepEqual(believed([null, null]), [null, null]);
  assert.deepEqual(believed([400_000, null]), [400_000, 400_000]);
});

test("starved, the voice is lean; fed, as before", () => {
  const parameters = { encodings: [/** @type {any} */ ({ active: true })] };
  writeVoice(parameters, true);
  assert.deepEqual(parameters.encodings, [{ active: true, maxBitrate: 16_000 }]);
  writeVoice(parameters, false);
  assert.deepEqual(parameters.encodings, [{ active: true }]);
});

/** @param {(boolean | null)[]} readings */
function kept(readings) {
  const picture = new WholePicture();
  return readings.map((carried) => {
    const before = picture.kept;
    assert.equal(picture.handleReading(carried), picture.kept !== before);
    return picture.kept;
  });
}

test("a picture is kept whole until the uplink is known, and for a second when it carries it", () => {
  assert.deepEqual(kept([null, null, false, false]), [true, true, false, false]);
  assert.deepEqual(kept([null, true, true, true, true]), [true, true, true, false, false]);
  assert.deepEqual(kept([false, true, false, true, true, true]), [false, true, false, true, true, false]);
});

test("a browser that never says what gets through adapts the picture by itself", () => {
  const mute = kept(Array.from({ length: 10 }, () => null));
  assert.deepEqual([mute.at(0), mute.at(-1)], [true, false]);
});
