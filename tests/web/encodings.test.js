// @ts-check
/** How large and how fluent the own camera is sent, with so many bits. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { carriesWhole, keepPaused, NO_ORDERS, plan, RIDS, UNLIMITED_BPS } from "../../web/encodings.js";

const HD = { width: 1280, height: 720 };
const VGA = { width: 640, height: 480 };

/** @param {number} low @param {number} mid @param {number} high @param {boolean} [sharp] */
function orders(low, mid, high, sharp = false) {
  const [a, b, c] = RIDS;
  return {
    encodings: [
      { rid: a, max_bitrate_bps: low },
      { rid: b, max_bitrate_bps: mid },
      { rid: c, max_bitrate_bps: high },
    ],
    sharp,
  };
}

/** What the best encoding becomes. @param {number} bitrate_bps @param {{width: number, height: number}} size @param {boolean} [sharp] @param {number | null} [uplink_bps] */
function best(bitrate_bps, size, sharp = false, uplink_bps = null) {
  const encoding = plan(orders(0, 0, bitrate_bps, sharp), RIDS, size, uplink_bps).at(-1);
  assert.ok(encoding);
  return encoding;
}

test("without orders the best alone is sent, whole, as the browser likes", () => {
  const [low, mid, high] = plan(NO_ORDERS, RIDS, HD, null);
  assert.deepEqual([low?.active, mid?.active, high?.active], [false, false, true]);
  assert.deepEqual(high, { active: true, bitrate_bps: 2_500_000, frame_rate: 30, scale: 1, ours: false });
});

test("unlimited is as much as a picture of this size needs, and no cap that browsers set for simulcast", () => {
  assert.equal(best(UNLIMITED_BPS, HD).bitrate_bps, 2_500_000);
  assert.equal(best(UNLIMITED_BPS, VGA).bitrate_bps, 1_700_000);
  assert.equal(best(UNLIMITED_BPS, { width: 320, height: 240 }).bitrate_bps, 600_000);
  assert.equal(best(UNLIMITED_BPS, { width: 720, height: 1280 }).scale, 1);
});

for (const [bitrate_bps, size, scale, frame_rate] of /** @type {const} */ ([
  [2_400_000, HD, 1, 25],
  [900_000, HD, 1.5, 20],
  [640_000, HD, 2, 25],
  [285_000, HD, 3, 25],
  [150_000, HD, 4, 25],
  [100_000, HD, 4, 15],
  [60_000, HD, 6, 12],
  [30_000, HD, 6, 5],
  [9_000, HD, 6, 5],
  [285_000, VGA, 1.5, 20],
  [200_000, VGA, 2, 25],
  [100_000, VGA, 2, 12],
  [90_000, VGA, 3, 12],
  [60_000, VGA, 4, 15],
  [30_000, VGA, 4, 8],
])) {
  test(`${bitrate_bps} bit/s of ${size.width} × ${size.height} are ${frame_rate} pictures a second at 1/${scale}`, () => {
    const encoding = best(bitrate_bps, size);
    assert.deepEqual(encoding, { active: true, bitrate_bps, frame_rate, scale, ours: true });
  });
}

test("from 150 kbit/s on nothing is slower than a dozen pictures a second, whatever the camera", () => {
  for (const size of [HD, VGA, { width: 1920, height: 1080 }, { width: 320, height: 240 }]) {
    for (let bitrate_bps = 150_000; bitrate_bps <= 3_000_000; bitrate_bps += 10_000) {
      assert.ok(best(bitrate_bps, size).frame_rate >= 12, `${size.width} ${bitrate_bps}`);
    }
  }
});

test("more bits never make a smaller picture", () => {
  for (const sharp of [false, true]) {
    for (const [size, from_bps, smallest] of /** @type {const} */ ([
      [HD, 10_000, 6],
      [HD, 150_000, 4],
      [VGA, 10_000, 4],
    ])) {
      /** @type {number} */
      let scale = smallest;
      for (let bitrate_bps = from_bps; bitrate_bps <= 2_500_000; bitrate_bps += 5_000) {
        const next = best(bitrate_bps, size, sharp).scale;
        assert.ok(next <= scale, `${size.width} ${bitrate_bps}`);
        scale = next;
      }
    }
  }
});

test("few bits make at most fifteen pictures a second: evenly is worth more than often", () => {
  for (const size of [HD, VGA]) {
    for (let bitrate_bps = 10_000; bitrate_bps < 100_000; bitrate_bps += 5_000)
      assert.ok(best(bitrate_bps, size).frame_rate <= 15, `${size.width} ${bitrate_bps}`);
  }
});

/** The shapes of the best under one order after the other. @param {{width: number, height: number}} size @param {readonly number[]} bitrates_bps */
function shapes(size, bitrates_bps) {
  /** @type {ReturnType<typeof plan>} */
  let present = [];
  return bitrates_bps.map((bitrate_bps) => {
    present = plan(orders(0, 0, bitrate_bps), RIDS, size, null, present);
    const { bitrate_bps: given_bps, scale, frame_rate } = /** @type {typeof present[0]} */ (present.at(-1));
    assert.equal(given_bps, bitrate_bps);
    return `${frame_rate} at 1/${scale}`;
  });
}

for (const [what, size, bitrates_bps] of /** @type {const} */ ([
  ["700 kbit/s", VGA, [531_000, 645_000, 529_000, 498_000, 585_000]],
  ["300 kbit/s", VGA, [211_000, 233_000, 181_000, 258_000]],
  ["150 kbit/s", VGA, [60_000, 79_000, 43_000, 65_000, 81_000]],
  ["100 kbit/s", VGA, [28_000, 15_000, 34_000, 10_000, 43_000, 26_000]],
  ["a good network", HD, [2_400_000, 1_950_000, 2_300_000]],
])) {
  test(`orders that waver, as those for ${what} do, change no shape: another one is a keyframe of every encoding`, () => {
    const anew = bitrates_bps.map((bitrate_bps) => best(bitrate_bps, size));
    const others = new Set(anew.map(({ scale, frame_rate }) => `${frame_rate} at 1/${scale}`));
    assert.ok(others.size > 1, "they would, each by itself");
    assert.equal(new Set(shapes(size, bitrates_bps)).size, 1);
  });
}

test("notably more bits make it larger, notably fewer smaller", () => {
  assert.deepEqual(shapes(VGA, [500_000, 680_000, 700_000]), ["25 at 1/1.5", "25 at 1/1.5", "20 at 1/1"]);
  assert.deepEqual(shapes(VGA, [560_000, 450_000, 430_000]), ["20 at 1/1", "20 at 1/1", "25 at 1/1.5"]);
  assert.deepEqual(shapes(VGA, [60_000, 105_000, 120_000]), ["15 at 1/4", "15 at 1/4", "12 at 1/3"]);
  assert.deepEqual(shapes(VGA, [30_000, 50_000, 55_000]), ["8 at 1/4", "8 at 1/4", "12 at 1/4"]);
});

test("a shape is not kept below a dozen pictures a second", () => {
  assert.deepEqual(shapes(VGA, [80_000, 70_000]), ["12 at 1/3", "15 at 1/4"]);
});

test("what is not sent has no shape to keep", () => {
  const paused = plan(orders(0, 0, 0), RIDS, VGA, null);
  assert.deepEqual(plan(orders(0, 0, 560_000), RIDS, VGA, null, paused).at(-1), best(560_000, VGA));
  assert.equal(best(560_000, VGA).frame_rate, 20);
});

test("asked for detail, the picture is whole and slow instead of small and fluent", () => {
  assert.deepEqual(best(285_000, HD, true), {
    active: true,
    bitrate_bps: 285_000,
    frame_rate: 5,
    scale: 1,
    ours: true,
  });
  assert.deepEqual([best(60_000, VGA, true).scale, best(60_000, VGA, true).frame_rate], [1, 3]);
  assert.equal(best(UNLIMITED_BPS, HD, true).scale, 1);
});

test("where bits are plenty, detail gets twice as many a picture", () => {
  const { frame_rate } = best(UNLIMITED_BPS, HD, true);
  assert.ok(frame_rate >= 15 && frame_rate < best(UNLIMITED_BPS, HD).frame_rate);
});

test("detail is cut to what the own uplink carries, though the service would take more", () => {
  const encoding = best(UNLIMITED_BPS, HD, true, 300_000);
  assert.deepEqual([encoding.scale, encoding.frame_rate, encoding.bitrate_bps], [1, 5, 2_500_000]);
});

test("each encoding follows its own order, and one of 0 is paused", () => {
  const [low, mid, high] = plan(orders(60_000, 0, UNLIMITED_BPS), RIDS, VGA, null);
  assert.deepEqual([low?.active, low?.bitrate_bps, low?.scale], [true, 60_000, 4]);
  assert.equal(mid?.active, false);
  assert.deepEqual([high?.active, high?.scale, high?.ours], [true, 1, false]);
});

/** How the best is sent beside a lesser one. @param {number | null} uplink_bps @param {{width: number, height: number}} size @param {boolean} [sharp] */
function beside(uplink_bps, size, sharp = false) {
  const encoding = plan(orders(70_000, 0, UNLIMITED_BPS, sharp), RIDS, size, uplink_bps).at(-1);
  assert.ok(encoding);
  return encoding;
}

for (const [uplink_bps, size, scale] of /** @type {const} */ ([
  [null, HD, 1], // a browser that does not say is not limited
  [2_000_000, HD, 1],
  [900_000, HD, 1],
  [800_000, HD, 1.5],
  [500_000, HD, 1.5],
  [400_000, HD, 2],
  [300_000, HD, 3],
  [200_000, HD, 4],
  [500_000, VGA, 1],
  [300_000, { width: 640, height: 360 }, 1.5],
  [320_000, { width: 640, height: 360 }, 1],
  [900_000, { width: 720, height: 1280 }, 1],
])) {
  test(`${uplink_bps} bit/s carry ${size.width} × ${size.height} at 1/${scale} beside a lesser encoding`, () => {
    const { width, height } = size;
    assert.deepEqual(beside(uplink_bps, size), {
      ...best(UNLIMITED_BPS, { width, height }),
      scale,
    });
  });
}

test("sent alone the best is whole, however little the uplink carries", () => {
  assert.deepEqual(best(UNLIMITED_BPS, HD, false, 100_000), best(UNLIMITED_BPS, HD));
});

test("the lesser ones stay as they were ordered, and what they take the best has not", () => {
  const both = plan(orders(70_000, 200_000, UNLIMITED_BPS), RIDS, HD, 900_000);
  assert.deepEqual(
    both.slice(0, 2),
    plan(orders(70_000, 200_000, UNLIMITED_BPS), RIDS, HD, null).slice(0, 2),
  );
  assert.equal(both.at(-1)?.scale, 1.5);
});

test("an encoding of which single pictures are shown is large, and need not move", () => {
  for (const [size, scale] of /** @type {const} */ ([
    [HD, 2],
    [VGA, 1],
  ])) {
    const [low, mid, high] = RIDS;
    const encodings = [
      { rid: low, max_bitrate_bps: 70_000, for_stills: true },
      { rid: mid, max_bitrate_bps: 0, for_stills: false },
      { rid: high, max_bitrate_bps: UNLIMITED_BPS, for_stills: false },
    ];
    const [still, , best] = plan({ encodings, sharp: false }, RIDS, size, null);
    assert.equal(still?.scale, scale);
    assert.ok(still.frame_rate <= 5 && still.bitrate_bps === 70_000 && still.ours);
    assert.deepEqual(best, plan(orders(0, 0, UNLIMITED_BPS), RIDS, size, null).at(-1), "it moves as before");
  }
});

test("a best that is ordered with few bits needs no more than those", () => {
  const [low, , high] = plan(orders(40_000, 0, 140_000), RIDS, HD, 280_000);
  assert.deepEqual([low, high], plan(orders(40_000, 0, 140_000), RIDS, HD, null).toSpliced(1, 1));
});

test("a wider uplink never makes a smaller picture", () => {
  for (const size of [HD, VGA, { width: 1920, height: 1080 }, { width: 320, height: 240 }]) {
    let scale = 4;
    for (let uplink_bps = 50_000; uplink_bps <= 2_000_000; uplink_bps += 10_000) {
      const next = beside(uplink_bps, size).scale;
      assert.ok(next <= scale, `${size.width} ${uplink_bps}`);
      scale = next;
    }
    assert.equal(scale, 1);
  }
});

test("detail beside a lesser encoding keeps its size, with the bits that are left", () => {
  assert.deepEqual(beside(500_000, HD, true), {
    active: true,
    bitrate_bps: 296_000,
    frame_rate: 5,
    scale: 1,
    ours: true,
  });
  assert.equal(beside(2_000_000, HD, true).bitrate_bps, 2_500_000);
  assert.equal(beside(100_000, HD, true).bitrate_bps, 30_000);
});

test("all may be paused", () => {
  assert.ok(plan(orders(0, 0, 0), RIDS, VGA, null).every(({ active }) => !active));
});

test("a browser that was left one encoding sends the best by it", () => {
  const [only] = plan(orders(60_000, 0, 300_000), ["low"], VGA, null);
  assert.deepEqual([only?.active, only?.bitrate_bps], [true, 300_000]);
  assert.equal(plan(orders(60_000, 0, 300_000), [""], VGA, null)[0]?.bitrate_bps, 300_000);
});

test("orders for encodings that this page does not have change nothing", () => {
  const strange = { encodings: [{ rid: "x", max_bitrate_bps: 10_000 }], sharp: false };
  assert.deepEqual(plan(strange, RIDS, HD, null), plan(NO_ORDERS, RIDS, HD, null));
});

test("an answer that is given again pauses what is paused now", () => {
  const answer = "v=0\r\na=mid:1\r\na=rid:low recv\r\na=simulcast:recv ~low;~mid;high\r\n";
  const offer = "v=0\r\na=mid:1\r\na=simulcast:send low;~mid;high\r\n";
  assert.equal(keepPaused(answer, offer), answer.replace("~low;~mid;high", "low;~mid;high"));
  assert.equal(keepPaused(answer, "v=0\r\n"), answer);
  assert.equal(keepPaused("v=0\r\n", offer), "v=0\r\n");
});

test("an uplink carries the whole picture where it has bits for one that moves, voice, and some to spare", () => {
  const carried = [650_000, 800_000, 1_900_000, 2_200_000].map((bps) =>
    [VGA, HD].map((size) => carriesWhole(bps, size)),
  );
  assert.deepEqual(carried, [
    [false, false],
    [true, false],
    [true, false],
    [true, true],
  ]);
});
