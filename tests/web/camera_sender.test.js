// @ts-check
/** How the own camera is offered by browsers that can all of it, some of it, or none. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { addCamera, CameraSender } from "../../web/camera_sender.js";

/**
 * A browser's connection, as far as the own camera sees it.
 * @param {{sizes: boolean, layers: boolean, encodings: boolean}} can
 */
function browser({ sizes, layers, encodings }) {
  return class {
    /** @param {string} kind @param {any} init */
    addTransceiver(kind, { direction, sendEncodings }) {
      if (sizes) for (const one of sendEncodings ?? []) Reflect.get(one, "scaleResolutionDownTo");
      if (kind !== "video") throw new TypeError("kind");
      if (sendEncodings && !encodings) throw new TypeError("sendEncodings");
      if (!layers && sendEncodings?.some((/** @type {any} */ one) => one.scalabilityMode))
        throw new Error("mode");
      let parameters = { encodings: structuredClone(sendEncodings ?? [{ active: true }]) };
      const sender = {
        /** @type {any} */
        track: null,
        getParameters: () => structuredClone(parameters),
        setParameters: async (/** @type {any} */ given) => {
          parameters = structuredClone(given);
        },
      };
      return { direction, sender };
    }
  };
}

/** @param {{sizes: boolean, layers: boolean, encodings: boolean}} can @param {boolean} [has_layers] @returns {any} */
function added(can, has_layers = true) {
  const Peer = browser(can);
  Object.assign(globalThis, { RTCPeerConnection: Peer });
  return addCamera(/** @type {any} */ (new Peer()), { has_layers });
}

const ALL = { sizes: true, layers: true, encodings: true };

test("three encodings are offered, the least first, and the best alone is sent", () => {
  const { sender, direction } = added(ALL);
  assert.equal(direction, "sendrecv");
  assert.deepEqual(
    sender
      .getParameters()
      .encodings.map((/** @type {any} */ { rid, active, scalabilityMode }) => [rid, active, scalabilityMode]),
    [
      ["low", false, "L1T3"],
      ["mid", false, "L1T3"],
      ["high", true, "L1T3"],
    ],
  );
});

test("a browser that would leave out the third of a small picture offers two", () => {
  const { sender } = added({ ...ALL, sizes: false });
  const encodings = sender.getParameters().encodings;
  assert.deepEqual(
    encodings.map((/** @type {any} */ { rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy]),
    [
      ["low", 1],
      ["high", 1],
    ],
  );
});

test("layers and encodings are left out where they are refused", () => {
  assert.deepEqual(
    added({ ...ALL, layers: false })
      .sender.getParameters()
      .encodings.map((/** @type {any} */ { rid }) => rid),
    ["low", "mid", "high"],
  );
  assert.deepEqual(added({ ...ALL, encodings: false }).sender.getParameters().encodings, [{ active: true }]);
  const [low] = added(ALL, false).sender.getParameters().encodings;
  assert.equal("scalabilityMode" in low, false);
});

test("an order sets rate, size and frame rate of each, and holds the browser to them", async () => {
  const { sender } = added(ALL);
  sender.track = { getSettings: () => ({ width: 640, height: 480 }) };
  const camera = new CameraSender(sender);
  const orders = [
    { rid: "low", max_bitrate_bps: 60_000 },
    { rid: "mid", max_bitrate_bps: 0 },
    { rid: "high", max_bitrate_bps: 285_000 },
  ];
  await camera.order({ encodings: orders, sharp: false });
  const parameters = sender.getParameters();
  const [low, mid, high] = parameters.encodings;
  assert.deepEqual(
    [low.active, low.maxBitrate, low.maxFramerate, low.scaleResolutionDownTo],
    [true, 60_000, 15, { maxWidth: 160, maxHeight: 120 }],
  );
  assert.equal(mid.active, false);
  assert.deepEqual([high.active, high.maxBitrate, high.maxFramerate], [true, 285_000, 20]);
  assert.equal(parameters.degradationPreference, "maintain-framerate-and-resolution");
});

test("orders that waver change the rate alone; another camera, or detail asked for, makes all anew", async () => {
  const { sender } = added(ALL);
  let settings = { width: 640, height: 480 };
  sender.track = { getSettings: () => settings };
  const camera = new CameraSender(sender);
  const order = async (/** @type {number} */ max_bitrate_bps, sharp = false) => {
    await camera.order({ encodings: [{ rid: "low", max_bitrate_bps }], sharp });
    const { maxBitrate, maxFramerate, scaleResolutionDownTo } = sender.getParameters().encodings[0];
    assert.equal(maxBitrate, max_bitrate_bps);
    return [maxFramerate, scaleResolutionDownTo.maxWidth];
  };
  assert.deepEqual(await order(560_000), [20, 4096]);
  assert.deepEqual(await order(500_000), [20, 4096]);
  settings = { width: 480, height: 640 }; // turned
  assert.deepEqual(await order(500_000), [25, 320]);
  settings = { width: 1280, height: 720 };
  assert.deepEqual(await order(285_000, true), [5, 4096]);
  assert.deepEqual(await order(285_000), [25, 427]);
});

test("sizes are said as such as long as a lesser encoding is sent, and of none that was offered", async () => {
  const { sender } = added(ALL);
  sender.track = { getSettings: () => ({ width: 1280, height: 720 }) };
  const said = () =>
    sender
      .getParameters()
      .encodings.map((/** @type {any} */ one) => [
        "scaleResolutionDownTo" in one,
        "scaleResolutionDownBy" in one,
      ]);
  const [to, by] = [Array(3).fill([true, false]), Array(3).fill([false, true])];
  assert.deepEqual(said(), by);
  const camera = new CameraSender(sender);
  await camera.refresh();
  assert.deepEqual(said(), by);
  await camera.order({ encodings: [{ rid: "mid", max_bitrate_bps: 300_000 }], sharp: false });
  assert.deepEqual(said(), to);
  await camera.order({ encodings: [{ rid: "mid", max_bitrate_bps: 0 }], sharp: false });
  assert.deepEqual(said(), by);
});

test("what is as it should be is not set once more, wherever a browser has put it", async () => {
  const { sender } = added(ALL);
  const camera = new CameraSender(sender);
  for (const max_bitrate_bps of [0, 300_000]) {
    await camera.order({ encodings: [{ rid: "mid", max_bitrate_bps }], sharp: false });
    const parameters = sender.getParameters();
    for (const one of parameters.encodings) one.zeal = 1; // behind all others
    await sender.setParameters(parameters);
    const { setParameters } = sender;
    let changes = 0;
    sender.setParameters = async (/** @type {any} */ given) => {
      changes += 1;
      return setParameters(given);
    };
    await camera.refresh();
    assert.equal(changes, 0);
    sender.setParameters = setParameters;
  }
});

test("what is unlimited the browser adapts by itself again, where the uplink is known", async () => {
  const { sender } = added(ALL);
  const camera = new CameraSender(sender);
  for (let reading = 0; reading < 2; reading += 1) camera.handleUplink(400_000);
  await camera.order({ encodings: [{ rid: "high", max_bitrate_bps: 100_000 }], sharp: false });
  await camera.order({ encodings: [{ rid: "high", max_bitrate_bps: 0xffff_ffff }], sharp: false });
  const { degradationPreference, encodings } = sender.getParameters();
  assert.equal(degradationPreference, undefined);
  assert.equal(encodings[2].maxBitrate, 2_500_000);
});

test("the browser does not begin with less of the picture, and is let go once the uplink is known", async () => {
  const { sender } = added(ALL);
  sender.track = { getSettings: () => ({ width: 640, height: 480 }) };
  const camera = new CameraSender(sender);
  const kept = async (/** @type {(number | null)[]} */ ...readings) => {
    for (const reading of readings) camera.handleUplink(reading);
    await new Promise((resolve) => setTimeout(resolve));
    return sender.getParameters().degradationPreference === "maintain-framerate-and-resolution";
  };
  await camera.order({ encodings: [], sharp: false });
  assert.equal(await kept(null, 300_000), true, "which is what it begins with");
  assert.equal(await kept(300_000), false);
  assert.equal(await kept(1_500_000, 1_500_000, 1_500_000), false);
  assert.equal(
    await kept(1_500_000),
    true,
    "for a moment, which undoes what the browser made of it meanwhile",
  );
  assert.equal(await kept(1_500_000), true);
  assert.equal(await kept(1_500_000), false);
});

test("an answer that woke all encodings is put right by asking once more", async () => {
  const { sender } = added(ALL);
  const camera = new CameraSender(sender);
  await camera.refresh();
  const woken = sender.getParameters();
  for (const one of woken.encodings) one.active = true;
  await sender.setParameters(woken);
  await camera.refresh();
  assert.deepEqual(
    sender.getParameters().encodings.map((/** @type {any} */ { active }) => active),
    [false, false, true],
  );
});

test("parts of the camera's size are said where sizes cannot be", async () => {
  const { sender } = added({ ...ALL, sizes: false });
  const camera = new CameraSender(sender);
  await camera.order({ encodings: [{ rid: "low", max_bitrate_bps: 60_000 }], sharp: false });
  const [low] = sender.getParameters().encodings;
  assert.equal(low.scaleResolutionDownBy, 6);
  assert.equal("scaleResolutionDownTo" in low, false);
});

test("a narrow uplink makes the best smaller beside a lesser one, and large again once it has carried more for a while", async () => {
  const { sender } = added(ALL);
  sender.track = { getSettings: () => ({ width: 1280, height: 720 }) };
  const camera = new CameraSender(sender);
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const high = () => sender.getParameters().encodings[2].scaleResolutionDownTo;
  for (let reading = 0; reading < 2; reading += 1) camera.handleUplink(500_000);
  await turn();
  await camera.order({ encodings: [{ rid: "high", max_bitrate_bps: 0xffff_ffff }], sharp: false });
  assert.equal(sender.getParameters().encodings[2].scaleResolutionDownBy, 1);
  await camera.order({ encodings: [{ rid: "low", max_bitrate_bps: 70_000 }], sharp: false });
  assert.deepEqual(high(), { maxWidth: 853, maxHeight: 480 });
  for (let reading = 0; reading < 3; reading += 1) camera.handleUplink(2_000_000);
  await turn();
  assert.deepEqual(high(), { maxWidth: 853, maxHeight: 480 });
  camera.handleUplink(2_000_000);
  await turn();
  assert.deepEqual(high(), { maxWidth: 4096, maxHeight: 4096 });
  camera.handleUplink(400_000);
  await turn();
  assert.deepEqual(high(), { maxWidth: 640, maxHeight: 360 });
});
