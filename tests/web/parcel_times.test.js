// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldTime, momentOf, quickTimes, readFieldTime, sayTime, wallTime } from "../../web/parcel_times.js";

const SHANGHAI = "Asia/Shanghai";
const BERLIN = "Europe/Berlin";
const NOON = Date.parse("2026-11-22T04:10:00Z"); // 12:10 in Shanghai

test("a time is the wall's of the case, wherever the phone is", () => {
  assert.deepEqual(wallTime(NOON, SHANGHAI), { year: 2026, month: 11, day: 22, hour: 12, minute: 10 });
  assert.equal(momentOf(wallTime(NOON, SHANGHAI), SHANGHAI), NOON);
  assert.equal(fieldTime(NOON, SHANGHAI), "2026-11-22T12:10");
  assert.equal(readFieldTime("2026-11-22T12:10", SHANGHAI), NOON);
  assert.equal(readFieldTime("", SHANGHAI), null);
});

test("midnight is the first hour of its own day", () => {
  const midnight = Date.parse("2026-11-22T16:00:00Z");
  assert.deepEqual(wallTime(midnight, SHANGHAI), { year: 2026, month: 11, day: 23, hour: 0, minute: 0 });
});

test("clocks that are set back or forward do not shift what the field says", () => {
  for (const value of ["2026-03-29T01:30", "2026-03-29T03:30", "2026-10-25T01:30", "2026-10-25T03:30"]) {
    assert.equal(fieldTime(readFieldTime(value, BERLIN) ?? 0, BERLIN), value);
  }
});

test("the quick times at noon are soon, this evening and tomorrow", () => {
  const times = quickTimes(NOON, SHANGHAI).map((at) => fieldTime(at, SHANGHAI));
  assert.deepEqual(times, [
    "2026-11-22T13:30",
    "2026-11-22T14:30",
    "2026-11-22T19:00",
    "2026-11-23T09:00",
    "2026-11-23T19:00",
  ]);
});

test("nobody is asked to come in the night, and no time lies in the past", () => {
  const late = Date.parse("2026-11-22T14:50:00Z"); // 22:50 in Shanghai
  assert.deepEqual(
    quickTimes(late, SHANGHAI).map((at) => fieldTime(at, SHANGHAI)),
    ["2026-11-23T09:00", "2026-11-23T19:00"],
  );
});

test("a time is said with its day, save today's and tomorrow's where now is known", () => {
  const today = "2026-11-22T10:30:00.000Z";
  assert.equal(sayTime(today, SHANGHAI, "en", NOON), "today 18:30");
  assert.equal(sayTime("2026-11-23T01:00:00.000Z", SHANGHAI, "zh", NOON), "明天 09:00");
  assert.equal(sayTime(today, SHANGHAI, "en"), "22 Nov 18:30");
  assert.equal(sayTime(today, SHANGHAI, "zh"), "11月22日 18:30");
});

test("a zone that the browser does not know is read as its own, and nothing breaks", () => {
  assert.equal(
    sayTime("2026-11-22T10:30:00.000Z", "Moon/Tranquility", "en"),
    sayTime("2026-11-22T10:30:00.000Z", undefined, "en"),
  );
});
