// @ts-check
/** Times that people agree on: said, proposed and read in the time zone of the case, wherever the phone is. Pure. */

/** @typedef {import("./protocol.js").Language} Language */

/** What the clock on the wall shows; `month` from 1. @typedef {{year: number, month: number, day: number, hour: number, minute: number}} WallTime */

const HOUR_MS = 3_600_000;
const HALF_HOUR_MS = HOUR_MS / 2;
const SOONEST_MS = HALF_HOUR_MS; // a courier needs about that long to come back
const EVENING = 19; // when most people are home
const MORNING = 9; // when couriers begin

/** A zone that this browser does not know is shown as its own. @param {string | undefined} time_zone */
function zoneOf(time_zone) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: time_zone });
    return time_zone;
  } catch {
    return undefined;
  }
}

/** @param {number} at milliseconds since 1970 @param {string | undefined} time_zone @returns {WallTime} */
export function wallTime(at, time_zone) {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zoneOf(time_zone),
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return {
    year: part.year ?? 0,
    month: part.month ?? 0,
    day: part.day ?? 0,
    hour: part.hour ?? 0,
    minute: part.minute ?? 0,
  };
}

/**
 * When the wall shows that; where clocks are set forward over it, the time just after.
 * @param {WallTime} wall days beyond the month's last are those of the next
 * @param {string | undefined} time_zone
 * @returns {number} milliseconds since 1970
 */
export function momentOf(wall, time_zone) {
  const wanted = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute);
  let at = wanted;
  // The offset at the guess may be that of the other side of a change of clocks: the second step mends it.
  for (let step = 0; step < 2; step++) {
    const shown = wallTime(at, time_zone);
    at += wanted - Date.UTC(shown.year, shown.month - 1, shown.day, shown.hour, shown.minute);
  }
  return at;
}

/**
 * Sensible times for "later", soonest first: in about one and two hours, this evening, tomorrow morning and evening.
 * @param {number} now milliseconds since 1970
 * @param {string | undefined} time_zone
 * @returns {number[]} milliseconds since 1970
 */
export function quickTimes(now, time_zone) {
  const today = wallTime(now, time_zone);
  /** @param {number} days @param {number} hour */
  const at = (days, hour) => momentOf({ ...today, day: today.day + days, hour, minute: 0 }, time_zone);
  const soon = [1, 2].map((hours) => Math.ceil((now + hours * HOUR_MS) / HALF_HOUR_MS) * HALF_HOUR_MS);
  // Nobody is asked to come in the night.
  const day = soon.filter((moment) => {
    const { hour } = wallTime(moment, time_zone);
    return hour >= MORNING - 1 && hour < EVENING + 3;
  });
  const times = [...day, at(0, EVENING), at(1, MORNING), at(1, EVENING)];
  return [...new Set(times)].filter((moment) => moment >= now + SOONEST_MS).sort((a, b) => a - b);
}

/** "2026-11-30T18:30", as a field for date and time shows it. @param {number} at @param {string | undefined} time_zone */
export function fieldTime(at, time_zone) {
  const { year, month, day, hour, minute } = wallTime(at, time_zone);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}`;
}

/** What such a field says; null for nothing. @param {string} value @param {string | undefined} time_zone @returns {number | null} */
export function readFieldTime(value, time_zone) {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(value);
  if (!match) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = match.slice(1).map(Number);
  return momentOf({ year, month, day, hour, minute }, time_zone);
}

/**
 * The time of day, with the day unless it is today; `now` null: always with the day.
 * @param {string | number} time
 * @param {string | undefined} time_zone
 * @param {Language} language
 * @param {number | null} [now]
 */
export function sayTime(time, time_zone, language, now = null) {
  const at = new Date(time).getTime();
  if (Number.isNaN(at)) return "";
  const there = wallTime(at, time_zone);
  const clock = `${String(there.hour).padStart(2, "0")}:${String(there.minute).padStart(2, "0")}`;
  const day = now === null ? null : daysFrom(now, at, time_zone);
  if (day === 0) return language === "zh" ? `今天 ${clock}` : `today ${clock}`;
  if (day === 1) return language === "zh" ? `明天 ${clock}` : `tomorrow ${clock}`;
  const date = new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", {
    timeZone: zoneOf(time_zone),
    month: language === "zh" ? "long" : "short",
    day: "numeric",
  }).format(at);
  return `${date} ${clock}`;
}

/** @param {number} now @param {number} at @param {string | undefined} time_zone whole days on the calendar there */
function daysFrom(now, at, time_zone) {
  const [from, to] = [wallTime(now, time_zone), wallTime(at, time_zone)];
  return Math.round(
    (Date.UTC(to.year, to.month - 1, to.day) - Date.UTC(from.year, from.month - 1, from.day)) /
      (24 * HOUR_MS),
  );
}
