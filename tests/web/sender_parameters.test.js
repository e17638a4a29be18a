// @ts-check
/** Changes to a sender come one after the other, the newest of those that wait wins. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SenderParameters } from "../../web/sender_parameters.js";

/** A sender whose changes take as long as the test likes. */
class FakeSender {
  /** @type {any} */
  parameters = { encodings: [{ rid: "low" }, { rid: "high" }] };
  /** @type {{parameters: any, resolve: () => void, reject: (error: Error) => void}[]} */
  asked = [];

  getParameters() {
    return structuredClone(this.parameters);
  }

  /** @param {any} parameters @returns {Promise<void>} */
  setParameters(parameters) {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.parameters = structuredClone(parameters);
        resolve();
      };
      this.asked.push({ parameters, resolve: done, reject });
    });
  }
}

/** @param {number} value */
const bitrate = (value) => (/** @type {any} */ parameters) => {
  parameters.encodings[0].maxBitrate = value;
};

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("two changes are never made at a time, and the newest of those that waited is made", async () => {
  const sender = new FakeSender();
  const parameters = new SenderParameters(/** @type {any} */ (sender));
  const done = parameters.set(bitrate(1));
  parameters.set(bitrate(2));
  parameters.set(bitrate(3));
  await settled();
  assert.equal(sender.asked.length, 1);
  sender.asked[0]?.resolve();
  await settled();
  assert.deepEqual(
    sender.asked.map(({ parameters: { encodings } }) => encodings[0].maxBitrate),
    [1, 3],
  );
  sender.asked[1]?.resolve();
  await done;
  assert.equal(sender.parameters.encodings[0].maxBitrate, 3);
});

test("what is so already is not asked for again", async () => {
  const sender = new FakeSender();
  sender.parameters.encodings[0].maxBitrate = 1;
  await new SenderParameters(/** @type {any} */ (sender)).set(bitrate(1));
  assert.equal(sender.asked.length, 0);
});

test("what a browser refuses is left out from then on", async () => {
  const sender = new FakeSender();
  const parameters = new SenderParameters(/** @type {any} */ (sender));
  /** @type {boolean[]} */
  const tries = [];
  /** @param {any} written @param {boolean} bold */
  const change = (written, bold) => {
    tries.push(bold);
    written.encodings[0].maxBitrate = tries.length;
    if (bold) written.degradationPreference = "unheard of";
  };
  parameters.set(change);
  await settled();
  sender.asked[0]?.reject(new TypeError("no such value"));
  await settled();
  sender.asked[1]?.resolve();
  await settled();
  parameters.set(change);
  await settled();
  assert.deepEqual(tries, [true, false, false]);
});

test("a closed connection refuses without harm, and the next change is tried", async () => {
  const sender = new FakeSender();
  const parameters = new SenderParameters(/** @type {any} */ (sender));
  const done = parameters.set(bitrate(1));
  await settled();
  sender.asked[0]?.reject(new Error("closed"));
  await settled();
  sender.asked[1]?.reject(new Error("closed"));
  await done;
  parameters.set(bitrate(2));
  await settled();
  assert.equal(sender.asked.length, 3);
});

test("before there are encodings nothing is asked", async () => {
  const sender = new FakeSender();
  sender.parameters = { encodings: [] };
  await new SenderParameters(/** @type {any} */ (sender)).set(bitrate(1));
  assert.equal(sender.asked.length, 0);
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A DOMException, as far as its name counts. @param {string} name */
const refusal = (name) => Object.assign(new Error(name), { name });

/** Refuses all that is asked now and at once thereafter. @param {FakeSender} sender @param {string} name */
async function refuse(sender, name) {
  for (let answered = sender.asked.length - 1; answered < sender.asked.length; answered += 1) {
    sender.asked[answered]?.reject(refusal(name));
    await turn();
  }
}

test("a change that is refused is tried again a few times, and then no more", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sender = new FakeSender();
  const done = new SenderParameters(/** @type {any} */ (sender)).set(bitrate(1));
  await refuse(sender, "InvalidStateError");
  await done;
  assert.equal(sender.asked.length, 2);
  for (const wait_ms of [1000, 2000, 4000]) {
    t.mock.timers.tick(wait_ms - 1);
    await turn();
    const { length } = sender.asked;
    t.mock.timers.tick(1);
    await turn();
    assert.equal(sender.asked.length - length, 1);
    await refuse(sender, "InvalidStateError");
  }
  t.mock.timers.tick(60_000);
  await turn();
  assert.equal(sender.asked.length, 8);
});

test("what was refused twice is made in the end", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sender = new FakeSender();
  new SenderParameters(/** @type {any} */ (sender)).set(bitrate(1));
  await refuse(sender, "InvalidStateError");
  t.mock.timers.tick(1000);
  await turn();
  sender.asked.at(-1)?.resolve();
  await turn();
  assert.equal(sender.parameters.encodings[0].maxBitrate, 1);
});

test("a newer change is made at once, and the one that was to be tried again is not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sender = new FakeSender();
  const parameters = new SenderParameters(/** @type {any} */ (sender));
  parameters.set(bitrate(1));
  await refuse(sender, "InvalidStateError");
  parameters.set(bitrate(2));
  sender.asked.at(-1)?.resolve();
  await turn();
  t.mock.timers.tick(60_000);
  await turn();
  assert.deepEqual(
    sender.asked.map(({ parameters: { encodings } }) => encodings[0].maxBitrate),
    [1, 1, 2],
  );
});

for (const [name, bold] of /** @type {const} */ ([
  ["InvalidStateError", true],
  ["OperationError", false],
  ["InvalidModificationError", false],
])) {
  test(`after ${name} what not every browser knows is ${bold ? "" : "not "}said again`, async () => {
    const sender = new FakeSender();
    const parameters = new SenderParameters(/** @type {any} */ (sender));
    /** @type {boolean[]} */
    const tries = [];
    const change = (/** @type {any} */ written, /** @type {boolean} */ is_bold) => {
      tries.push(is_bold);
      written.encodings[0].maxBitrate = tries.length;
    };
    parameters.set(change);
    sender.asked[0]?.reject(refusal(name));
    await turn();
    sender.asked[1]?.resolve();
    await turn();
    parameters.set(change);
    assert.deepEqual(tries, [true, bold, bold]);
  });
}
