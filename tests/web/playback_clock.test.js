// @ts-check
/** The clock of a playback on virtual time: files that start late, run fast, stall, end and follow one another. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PlaybackClock } from "../../web/playback_clock.js";

/** @typedef {import("../../web/playback_clock.js").Part} Part */
/** @typedef {import("../../web/playback_clock.js").Output} Output */

/**
 * How a file and its element behave.
 * @typedef {{load_s?: number, start_s?: number, seek_s?: number, pace?: number, began_s?: number, duration_s?: number,
 *   frame_s?: number, fails?: boolean}} How
 *   start_s: from play to the first motion; pace: seconds of the file in a second
 */

const TICK_S = 0.1; // as the page reads its elements

/** Elements on virtual time, as their clock commands them. */
class World {
  now = 100;
  /** @type {Output[]} */
  outputs = [];
  /** @type {Map<string, {time_s: number, ready_at: number, rate: number, running: boolean, moves_at: number, stalled: boolean}>} */
  elements = new Map();
  /** @type {{at: number, what: () => Output[]}[]} */
  #coming = [];

  /** @param {readonly Part[]} parts @param {Record<string, How>} [how] @param {number} [ended_s] */
  constructor(parts, how = {}, ended_s = Math.max(...parts.map((part) => part.ended_s))) {
    this.parts = new Map(parts.map((part) => [part.key, part]));
    this.how = how;
    this.clock = new PlaybackClock({ parts, ended_s });
  }

  get position() {
    return this.clock.position(this.now);
  }

  /** @param {Output[]} outputs */
  do(outputs) {
    for (const output of outputs) {
      this.outputs.push(output);
      const how = this.how[output.key] ?? {};
      const element = this.elements.get(output.key);
      if (output.kind === "load") {
        const part = /** @type {Part} */ (this.parts.get(output.key));
        this.#coming.push({
          at: this.now + (how.load_s ?? 0.3),
          what: () => {
            if (how.fails) return this.clock.handleFailed(output.key, this.now);
            this.elements.set(output.key, {
              time_s: 0,
              ready_at: this.now + 0.05,
              rate: 1,
              running: false,
              moves_at: 0,
              stalled: false,
            });
            const began_s = how.began_s ?? part.began_s;
            const duration_s = how.duration_s ?? part.ended_s - began_s;
            return this.clock.handleLoaded(output.key, { began_s, duration_s }, this.now);
          },
        });
      }
      if (!element) continue;
      if (output.kind === "unload") this.elements.delete(output.key);
      if (output.kind === "seek")
        Object.assign(element, { time_s: output.time_s, ready_at: this.now + (how.seek_s ?? 0.08) });
      if (output.kind === "play")
        Object.assign(element, {
          running: true,
          rate: output.rate,
          moves_at: this.now + (how.start_s ?? 0.02),
        });
      if (output.kind === "rate") element.rate = output.rate;
      if (output.kind === "pause") element.running = false;
    }
  }

  /** Lets time pass in steps of a millisecond. @param {number} seconds */
  run(seconds) {
    const end = this.now + seconds;
    let tick = this.now + TICK_S;
    while (this.now < end) {
      this.now += 0.001;
      for (const [key, element] of this.elements) {
        const how = this.how[key] ?? {};
        const moves =
          element.running && !element.stalled && this.now >= Math.max(element.moves_at, element.ready_at);
        if (!moves) continue;
        const before = element.time_s;
        element.time_s += 0.001 * element.rate * (how.pace ?? 1);
        const frame_s = how.frame_s ?? 1 / 15;
        if (Math.floor(before / frame_s) !== Math.floor(element.time_s / frame_s))
          this.do(this.clock.handleFrame(key, Math.floor(element.time_s / frame_s) * frame_s, this.now));
      }
      const due = this.#coming.filter(({ at }) => at <= this.now);
      this.#coming = this.#coming.filter(({ at }) => at > this.now);
      for (const { what } of due) this.do(what());
      if (this.now >= this.clock.nextDeadline) this.do(this.clock.handleTimeout(this.now));
      if (this.now >= tick) {
        tick += TICK_S;
        this.read();
      }
    }
  }

  read() {
    const readings = [...this.elements].map(([key, { time_s, ready_at, stalled }]) => ({
      key,
      time_s,
      flowing: this.now >= ready_at && !stalled,
      seeking: this.now < ready_at,
      ended: false,
    }));
    this.do(this.clock.handleReadings(readings, this.now));
  }

  play() {
    this.do(this.clock.handlePlay(this.now));
  }

  /** How far two files are apart, by their own places in the call. @param {string} one @param {string} other */
  apart(one, other) {
    return Math.abs(this.place(one) - this.place(other));
  }

  /** @param {string} key */
  place(key) {
    const began_s = this.how[key]?.began_s ?? this.parts.get(key)?.began_s ?? 0;
    return began_s + (this.elements.get(key)?.time_s ?? Number.NaN);
  }

  /** @param {string} kind @param {string} [key] */
  count(kind, key) {
    return this.outputs.filter((output) => output.kind === kind && (key === undefined || output.key === key))
      .length;
  }
}

/** @param {string} track @param {number} part @param {number} began_s @param {number} ended_s @returns {Part} */
function part(track, part, began_s, ended_s) {
  return { key: `${track} ${part}`, track, began_s, ended_s };
}

const COURIER = part("courier", 1, 0.4, 60);
const CUSTOMER = part("customer", 1, 2.5, 58);

test("nothing is asked for before somebody wants to see it", () => {
  const world = new World([COURIER, CUSTOMER]);
  world.do(world.clock.handleSeek(20, world.now));
  world.do(world.clock.handleStep(COURIER.key, 1, world.now));
  world.run(2);
  assert.deepEqual(world.outputs, []);
  assert.equal(world.clock.state, "idle");
  assert.equal(world.position, 20);
  world.play();
  assert.deepEqual(
    world.outputs.map(({ kind, key }) => [kind, key]),
    [
      ["load", COURIER.key],
      ["load", CUSTOMER.key],
    ],
  );
});

test("two files that begin apart play on one clock, each from its own beginning", () => {
  const world = new World([COURIER, CUSTOMER]);
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  assert.equal(world.clock.state, "waiting");
  world.run(2);
  assert.equal(world.clock.state, "playing");
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.03, String(world.apart(COURIER.key, CUSTOMER.key)));
  assert.ok(Math.abs(world.place(COURIER.key) - world.position) < 0.03);
  const before = world.position;
  world.run(5);
  assert.ok(Math.abs(world.position - before - 5) < 0.05);
  assert.equal(world.count("seek"), 2, "once each, to the place where it began");
});

test("nobody plays before all who are due can", () => {
  const world = new World([COURIER, CUSTOMER], { [CUSTOMER.key]: { load_s: 4 } });
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(3.5);
  assert.equal(world.count("play"), 0);
  assert.equal(world.position, 10);
  world.run(2);
  assert.equal(world.count("play"), 2);
});

test("a file that starts late is drawn in by a rate that nobody hears, without a seek", () => {
  const world = new World([COURIER, CUSTOMER], { [CUSTOMER.key]: { start_s: 0.22 } });
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(0.75);
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) > 0.1, "it did start late");
  world.run(3);
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.03, String(world.apart(COURIER.key, CUSTOMER.key)));
  const rates = world.outputs.flatMap((output) => (output.kind === "rate" ? [output.rate] : []));
  assert.ok(rates.length > 0 && rates.every((rate) => rate >= 0.92 && rate <= 1.08), String(rates));
  assert.equal(world.count("seek"), 2, "only those of the beginning");
});

test("clocks that differ by half a percent stay within 60 ms for ten minutes", () => {
  const long = [part("courier", 1, 0, 700), part("customer", 1, 1, 700)];
  const world = new World(long, { "courier 1": { pace: 1.003 }, "customer 1": { pace: 0.998 } });
  world.play();
  world.run(5);
  for (let second = 0; second < 600; second += 5) {
    world.run(5);
    assert.ok(world.apart("courier 1", "customer 1") < 0.06, `at ${second} s`);
  }
  assert.equal(world.clock.state, "playing");
});

test("alone, a file is never nudged: the cursor goes with it", () => {
  const world = new World([COURIER], { [COURIER.key]: { start_s: 0.3, pace: 0.97 } });
  world.play();
  world.run(20);
  assert.equal(world.count("rate"), 0);
  assert.ok(Math.abs(world.place(COURIER.key) - world.position) < 0.02);
});

test("where one stalls all wait, and go on together", () => {
  const world = new World([COURIER, CUSTOMER]);
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(3);
  const customer = world.elements.get(CUSTOMER.key);
  assert.ok(customer);
  customer.stalled = true;
  world.run(0.3);
  assert.equal(world.clock.state, "waiting");
  const [held, place] = [world.position, world.place(COURIER.key)];
  world.run(5);
  assert.equal(world.position, held);
  assert.equal(world.place(COURIER.key), place);
  customer.stalled = false;
  world.run(3);
  assert.equal(world.clock.state, "playing");
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.03);
});

test("a jump that a nudge would take seconds for is sought, and not for ever", () => {
  const world = new World([COURIER, CUSTOMER]);
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(3);
  const customer = world.elements.get(CUSTOMER.key);
  assert.ok(customer);
  customer.time_s -= 3;
  world.run(3);
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.06);
  const seeks = world.count("seek");
  for (let again = 0; again < 50; again += 1) {
    customer.time_s = 1; // it cannot be sought
    world.run(0.1);
  }
  assert.ok(world.count("seek") - seeks <= 8, String(world.count("seek") - seeks));
});

test("a pause holds every file, and going on does not jump", () => {
  const world = new World([COURIER, CUSTOMER]);
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(4.05);
  world.do(world.clock.handlePause(world.now));
  const at = world.position;
  const seeks = world.count("seek");
  world.run(3);
  assert.equal(world.position, at);
  assert.equal(world.clock.state, "paused");
  world.play();
  world.run(1);
  assert.equal(world.count("seek"), seeks);
  assert.ok(Math.abs(world.position - at - 1) < 0.1);
});

test("the speed is everybody's", () => {
  const world = new World([COURIER, CUSTOMER]);
  world.do(world.clock.handleSeek(10, world.now));
  world.do(world.clock.handleRate(2, world.now));
  world.play();
  world.run(2);
  const before = world.position;
  world.run(3);
  assert.ok(Math.abs(world.position - before - 6) < 0.1);
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.04);
  world.do(world.clock.handleRate(0.5, world.now));
  const slow = world.position;
  world.run(4);
  assert.ok(Math.abs(world.position - slow - 2) < 0.1);
});

test("who comes later and leaves earlier is played for as long as they are there", () => {
  const world = new World([part("courier", 1, 0, 20), part("customer", 1, 5, 10)]);
  world.play();
  world.run(4.5);
  assert.equal(world.clock.due("customer", world.now), null);
  assert.equal(world.count("load", "customer 1"), 1, "it is put together before it is due");
  world.run(2.5);
  assert.ok(world.apart("courier 1", "customer 1") < 0.04, String(world.apart("courier 1", "customer 1")));
  world.run(5);
  assert.equal(world.clock.due("customer", world.now), null);
  assert.equal(world.count("pause", "customer 1"), 1);
  assert.equal(world.clock.state, "playing");
  world.run(10);
  assert.equal(world.clock.state, "ended");
  assert.equal(world.position, 20);
  world.play();
  world.run(2);
  assert.ok(world.position > 1 && world.position < 2.5, "from the beginning again");
});

test("parts of a quarter of an hour follow one another without anybody noticing", () => {
  const quarter = 900;
  const parts = [
    part("courier", 1, 0, quarter),
    part("courier", 2, quarter, 2 * quarter),
    part("customer", 1, 2, quarter + 2),
    part("customer", 2, quarter + 2, 2 * quarter),
  ];
  const world = new World(parts);
  world.do(world.clock.handleSeek(quarter - 30, world.now));
  world.play();
  world.run(5);
  assert.equal(world.count("load"), 2, "what is far is not asked for");
  const before = world.position;
  world.run(20);
  assert.equal(world.count("load"), 4);
  world.run(20);
  assert.ok(Math.abs(world.position - before - 40) < 0.2, "nobody waited");
  assert.deepEqual(
    ["courier", "customer"].map((track) => world.clock.due(track, world.now)?.key),
    ["courier 2", "customer 2"],
  );
  assert.ok(world.apart("courier 2", "customer 2") < 0.04, String(world.apart("courier 2", "customer 2")));
  world.run(60);
  assert.equal(world.count("unload"), 2, "what lies behind is let go");
});

test("the cursor can be dragged: only where it rests is sought in the end", () => {
  const world = new World([COURIER, CUSTOMER], { [COURIER.key]: { seek_s: 0.5 } });
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(2);
  for (let position = 10; position < 40; position += 1) {
    world.do(world.clock.handleSeek(position, world.now));
    world.run(0.02);
  }
  assert.ok(world.count("seek", COURIER.key) <= 4, String(world.count("seek", COURIER.key)));
  world.run(3);
  assert.equal(world.clock.state, "playing");
  assert.ok(world.position > 40 && world.position < 43, String(world.position));
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.04);
});

test("one picture on and one back are those of the chosen file", () => {
  const frame_s = 1 / 15;
  const world = new World([COURIER, CUSTOMER], { [COURIER.key]: { frame_s } });
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(3);
  world.do(world.clock.handlePause(world.now));
  world.run(0.5);
  const shown = Math.floor((world.position - COURIER.began_s) / frame_s);
  world.do(world.clock.handleStep(COURIER.key, 1, world.now));
  assert.equal(world.clock.state, "stepping");
  world.run(0.5);
  assert.equal(world.clock.state, "paused");
  assert.equal(Math.floor((world.position - COURIER.began_s) / frame_s), shown + 1);
  world.do(world.clock.handleStep(COURIER.key, -1, world.now));
  const seek = world.outputs.findLast((output) => output.kind === "seek" && output.key === COURIER.key);
  assert.ok(seek?.kind === "seek" && Math.floor(seek.time_s / frame_s) === shown, "just before it began");
  world.do(world.clock.handleFrame(COURIER.key, shown * frame_s, world.now));
  world.run(0.5);
  assert.equal(Math.floor((world.position - COURIER.began_s) / frame_s), shown);
  assert.equal(world.clock.state, "paused");
});

test("a step right after a seek knows nothing of the pictures before it", () => {
  const world = new World([COURIER], { [COURIER.key]: { frame_s: 1 / 15 } });
  world.do(world.clock.handleSeek(40, world.now));
  world.play();
  world.run(3);
  world.do(world.clock.handlePause(world.now));
  world.do(world.clock.handleSeek(10, world.now));
  world.do(world.clock.handleStep(COURIER.key, 1, world.now));
  world.run(0.4);
  assert.equal(world.clock.state, "paused");
  assert.ok(world.position > 10 && world.position < 10.1, String(world.position));
});

test("a step where no picture comes ends in a pause", () => {
  const world = new World([COURIER], { [COURIER.key]: { frame_s: 30 } });
  world.play();
  world.run(3);
  world.do(world.clock.handleStep(COURIER.key, 1, world.now));
  world.run(1);
  assert.equal(world.clock.state, "paused");
});

test("what cannot be played holds nobody up, and is tried again when somebody wants it", () => {
  /** @type {Record<string, How>} */
  const how = { [CUSTOMER.key]: { fails: true } };
  const world = new World([COURIER, CUSTOMER], how);
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(3);
  assert.equal(world.clock.state, "playing");
  assert.equal(world.clock.due("customer", world.now)?.state, "failed");
  how[CUSTOMER.key] = {};
  world.do(world.clock.handleRetry(world.now));
  world.run(3);
  assert.equal(world.clock.due("customer", world.now)?.state, "there");
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.06);
});

test("an address that has expired is asked for again, one that never worked is not", () => {
  const long = part("courier", 1, 0, 900);
  const world = new World([long]);
  world.play();
  world.run(2);
  world.do(world.clock.handleBroken(long.key, world.now));
  assert.equal(world.clock.due("courier", world.now)?.state, "failed");
  world.do(world.clock.handleRetry(world.now));
  world.run(90);
  const at = world.position;
  world.do(world.clock.handleBroken(long.key, world.now));
  assert.equal(world.clock.state, "waiting");
  world.run(1);
  assert.equal(world.clock.state, "playing");
  assert.ok(world.position >= at && world.position < at + 1.5, "it goes on where it was");
});

test("a file that begins elsewhere than was thought is played where it belongs", () => {
  const world = new World([COURIER, CUSTOMER], { [CUSTOMER.key]: { began_s: 3.2, duration_s: 54 } });
  world.do(world.clock.handleSeek(10, world.now));
  world.play();
  world.run(2);
  assert.ok(world.apart(COURIER.key, CUSTOMER.key) < 0.04);
  const seek = world.outputs.find((output) => output.kind === "seek" && output.key === CUSTOMER.key);
  assert.ok(seek?.kind === "seek" && Math.abs(seek.time_s - 6.8) < 0.01);
});

test("a call that runs has more when it is asked for again", () => {
  const world = new World([part("courier", 1, 0, 10)]);
  world.play();
  world.run(12);
  assert.equal(world.clock.state, "ended");
  const grown = part("courier", 1, 0, 25);
  world.parts.set(grown.key, grown);
  world.do(world.clock.handleParts([grown], 25, world.now));
  assert.equal(world.clock.state, "paused");
  assert.ok(Math.abs(world.position - 10) < 0.001);
  world.play();
  world.run(3);
  assert.equal(world.clock.state, "playing");
  assert.ok(world.position > 11);
  assert.equal(world.count("load"), 2);
});

test("at the end the last picture of whoever was there stays", () => {
  const world = new World([part("courier", 1, 0, 20), part("customer", 1, 0, 19), part("qa", 1, 0, 10)]);
  world.do(world.clock.handleSeek(8, world.now));
  world.play();
  world.run(14);
  assert.equal(world.clock.state, "ended");
  const shown = ["courier", "customer", "qa"].map((track) => world.clock.due(track, world.now)?.key);
  assert.deepEqual(shown, ["courier 1", "customer 1", undefined]);
});

test("a file that is shorter than was thought is not waited for behind its end", () => {
  const world = new World([COURIER, CUSTOMER], { [CUSTOMER.key]: { duration_s: 20 } });
  world.do(world.clock.handleSeek(15, world.now));
  world.play();
  world.run(12);
  assert.equal(world.clock.due("customer", world.now), null);
  assert.equal(world.clock.state, "playing");
});

test("a file that is shorter than its listing has not grown when the list comes again", () => {
  const world = new World([COURIER, CUSTOMER], { [CUSTOMER.key]: { duration_s: 50 } });
  world.play();
  world.run(5);
  const loads = world.count("load");
  world.do(world.clock.handleParts([COURIER, CUSTOMER], 60, world.now));
  assert.equal(world.count("load"), loads);
  assert.equal(world.count("unload"), 0);
});
