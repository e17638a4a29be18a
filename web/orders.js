// @ts-check
/** The work orders of all cases, as the desk's feed tells them (PROTOCOL.md, "The desk's feed"). Pure. */

/** @typedef {import("./translations.js").Translations} Translations */
/** @typedef {"open" | "taken" | "decided" | "acknowledged"} QueueState */
/**
 * @typedef {Readonly<{
 *   case_id: string, waybill: string, time_zone: string, number: number, leaf_index: number, exception: string,
 *   label: Translations, state: QueueState, due_at: string, overdue: boolean, taken_by: string | null,
 *   taken_by_name: string | null, reported_by: import("./protocol.js").Role, reported_at: string,
 * }>} OrderRow
 */
/** @typedef {Readonly<{known: boolean, complete: boolean, rows: Readonly<Record<string, OrderRow>>}>} Queue known: the feed has told once */
/** @typedef {{event: string, data: any}} FeedEvent */

const FRESH_MS = 60_000; // what is older was there before, though this page did not know of it

/** @type {Queue} */
export const NO_QUEUE = Object.freeze({ known: false, complete: false, rows: Object.freeze({}) });

/** @param {Pick<OrderRow, "case_id" | "number">} row */
export function keyOf({ case_id, number }) {
  return `${case_id} ${number}`;
}

/** @param {Queue} queue @param {FeedEvent} event @returns {Queue} */
export function followFeed(queue, { event, data }) {
  switch (event) {
    case "orders": {
      /** @type {readonly OrderRow[]} */
      const rows = data.exceptions;
      const keyed = Object.fromEntries(rows.map((row) => [keyOf(row), row]));
      return { known: true, complete: data.complete, rows: keyed };
    }
    case "order":
      return { ...queue, rows: { ...queue.rows, [keyOf(data)]: data } };
    case "gone": {
      const { [keyOf(data)]: _, ...rows } = queue.rows;
      return { ...queue, rows };
    }
    case "complete":
      return { ...queue, complete: true };
    default:
      return queue;
  }
}

/** Whether the desk has to rule on it. @param {{state: string}} order */
export function isToRule({ state }) {
  return state === "open" || state === "taken";
}

const PLACES = Object.freeze({ open: 0, taken: 0, acknowledged: 1, decided: 2 });

/**
 * What is to be ruled first, the soonest due before the others; then what only has to be closed; last what waits for
 * the courier.
 * @param {Queue} queue
 */
export function inOrder({ rows }) {
  return Object.values(rows).sort(
    (a, b) =>
      PLACES[a.state] - PLACES[b.state] ||
      Date.parse(a.due_at) - Date.parse(b.due_at) ||
      a.leaf_index - b.leaf_index,
  );
}

/** @param {Queue} queue */
export function countToRule({ rows }) {
  return Object.values(rows).filter(isToRule).length;
}

/**
 * Orders that have just been reported: nobody has looked at them.
 * @param {Queue} before
 * @param {Queue} after
 * @param {number} at milliseconds of the service's clock
 */
export function newcomers(before, after, at) {
  if (!before.known) return [];
  return Object.entries(after.rows)
    .filter(
      ([key, row]) =>
        row.state === "open" && !before.rows[key] && at - Date.parse(row.reported_at) < FRESH_MS,
    )
    .map(([, row]) => row);
}

/**
 * The order to jump to: the one after the current one, from the first again after the last.
 * @param {readonly OrderRow[]} rows
 * @param {string | null} current its key
 */
export function nextOrder(rows, current) {
  const wanted = rows.filter(({ state }) => state !== "decided");
  const all = wanted.length > 0 ? wanted : rows;
  const place = all.findIndex((row) => keyOf(row) === current);
  return all[(place + 1) % all.length] ?? null;
}

/**
 * How long there is still to decide: whole minutes, cut, so that nobody counts on one that is not there.
 * @param {string} due_at
 * @param {number} at milliseconds of the service's clock
 * @returns {{late: boolean, minutes: number}}
 */
export function timeLeft(due_at, at) {
  const left_ms = Date.parse(due_at) - at;
  return { late: left_ms <= 0, minutes: Math.floor(Math.abs(left_ms) / 60_000) };
}
