// @ts-check
/**
 * The parcel's own story in the log: the notice that waits, changes, the hand-over, work orders, the call that rings.
 * Folds entries the way signaling/delivery.py, exceptions.py and case.py do. Pure.
 */

/** @typedef {import("./protocol.js").Attachment} Attachment */
/** @typedef {import("./protocol.js").ChangeOf} ChangeOf */
/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./protocol.js").Place} Place */
/** @typedef {import("./translations.js").Translations} Translations */

/** @typedef {Readonly<{choice: string, label: Translations, wants: "nothing" | "time" | "text"}>} Choice */
/** @typedef {Readonly<{option: string, label: Translations}>} Option */

/**
 * @typedef {Readonly<{
 *   number: number, choice: string, label: Translations, when_at: string | null, detail: string | null,
 *   actor_id: string, taken: boolean,
 * }>} Answer taken: the courier acts on it, so it stands
 */

/**
 * The newest notice that has choices.
 * @typedef {Readonly<{
 *   number: number, notice: string, to: "customer" | "courier", text: Translations, choices: readonly Choice[],
 *   actor_id: string, sent_at: string, repeated: boolean,
 *   unanswered: Readonly<{text: Translations, options: readonly Option[]}> | null, answer: Answer | null,
 *   closed: boolean,
 * }>} Notice closed: the parcel was handed over since, so nothing is asked any more
 */

/** @typedef {Readonly<{number: number, text: string, when_at: string | null, place: Place | null, actor_id: string}>} Change */
/** @typedef {Readonly<{text: string, when_at: string | null, place: Place | null}>} Agreed */

/**
 * @typedef {Readonly<{
 *   number: number, how: string, label: Translations, text: string | null, right: Translations,
 *   attachments: readonly Attachment[],
 *   settled: Readonly<{number: number, kind: "confirmed" | "receipt_refused", reservation: string | null}> | null,
 * }>} HandedOver
 */

/** @typedef {"open" | "taken" | "decided" | "acknowledged" | "closed"} OrderState */
/** @typedef {Readonly<{number: number, decision: string, label: Translations, remark: string | null, actor_id: string}>} Decision actor_id: whose it is */

/**
 * A work order, known by the number of the entry that reported it.
 * @typedef {Readonly<{
 *   number: number, exception: string, label: Translations, text: string | null, attachments: readonly Attachment[],
 *   place: Place | null, place_refused: boolean, due_at: string, reported_at: string, reported_by: string,
 *   state: OrderState, taken_by: string | null, decision: Decision | null, overdue: boolean,
 * }>} Order
 */

/** @typedef {Readonly<{call_number: number, of: readonly string[], until: string}>} Ring of: who neither came nor declined yet */

/**
 * @typedef {Readonly<{
 *   notice: Notice | null,
 *   changes: Readonly<Partial<Record<ChangeOf, Change>>>,
 *   agreed: Readonly<Partial<Record<ChangeOf, Agreed>>>,
 *   handed_over: HandedOver | null,
 *   orders: readonly Order[],
 *   ring: Ring | null,
 * }>} Parcel
 */

/** @type {Parcel} */
export const NO_PARCEL = Object.freeze({
  notice: null,
  changes: Object.freeze({}),
  agreed: Object.freeze({}),
  handed_over: null,
  orders: Object.freeze([]),
  ring: null,
});

/**
 * The parcel after one more entry. What the reader may not see changes nothing.
 * @param {Parcel} parcel
 * @param {Entry} entry
 * @returns {Parcel}
 */
export function followParcel(parcel, { envelope, body }) {
  const { kind, number, actor_id, recorded_at } = envelope;
  if (kind === "case_ended") return parcel.ring === null ? parcel : { ...parcel, ring: null };
  if (body === null) return parcel;
  switch (kind) {
    case "notice_sent":
      if (body.choices.length === 0) return parcel;
      return {
        ...parcel,
        notice: {
          number,
          notice: body.notice,
          to: body.to,
          text: body.text,
          choices: body.choices,
          actor_id,
          sent_at: recorded_at,
          repeated: false,
          unanswered: null,
          answer: null,
          closed: false,
        },
      };
    case "notice_repeated":
      return withNotice(parcel, body.number, { repeated: true });
    case "notice_unanswered":
      return withNotice(parcel, body.number, { unanswered: { text: body.text, options: body.options } });
    case "answered": {
      const { choice, label, when_at, detail } = body;
      const answer = { number, choice, label, when_at, detail, actor_id, taken: false };
      return withNotice(parcel, body.number, { answer, unanswered: null });
    }
    case "answer_taken":
      return parcel.notice?.answer?.number === body.number ? acted(parcel) : parcel;
    case "change_requested": {
      const { what, text, when_at, place } = body;
      const change = { number, text, when_at, place, actor_id };
      return { ...parcel, changes: { ...parcel.changes, [what]: change } };
    }
    case "change_answered":
    case "change_withdrawn": {
      const open = Object.entries(parcel.changes).filter(([, change]) => change?.number !== body.number);
      return { ...parcel, changes: Object.fromEntries(open) };
    }
    case "agreed": {
      const { what, text, when_at, place } = body;
      return { ...parcel, agreed: { ...parcel.agreed, [what]: { text, when_at, place } } };
    }
    case "handed_over": {
      const { how, label, text, right, attachments } = body;
      const { notice } = acted(parcel);
      return {
        ...parcel,
        notice: notice && { ...notice, closed: true },
        handed_over: { number, how, label, text, right, attachments, settled: null },
      };
    }
    case "confirmed":
    case "receipt_refused": {
      const { handed_over } = parcel;
      if (handed_over === null || handed_over.number !== body.number) return parcel;
      const settled = { number, kind, reservation: body.reservation ?? null };
      return { ...parcel, handed_over: { ...handed_over, settled } };
    }
    case "exception_reported": {
      const { exception, label, text, attachments, place, place_refused, due_at } = body;
      /** @type {Order} */
      const order = {
        number,
        exception,
        label,
        text,
        attachments,
        place,
        place_refused,
        due_at,
        reported_at: recorded_at,
        reported_by: actor_id,
        state: "open",
        taken_by: null,
        decision: null,
        overdue: false,
      };
      return { ...parcel, orders: [...parcel.orders, order] };
    }
    case "exception_taken":
      return withOrder(parcel, body.number, (order) => ({
        taken_by: actor_id,
        state: order.state === "open" ? "taken" : order.state,
      }));
    case "exception_decided": {
      const { decision, label, remark } = body;
      return withOrder(parcel, body.number, () => ({
        state: "decided",
        decision: { number, decision, label, remark, actor_id },
      }));
    }
    case "exception_acknowledged":
      return withOrder(parcel, body.number, () => ({ state: "acknowledged" }));
    case "exception_closed":
      return withOrder(parcel, body.number, () => ({ state: "closed" }));
    case "exception_overdue":
      return withOrder(parcel, body.number, () => ({ overdue: true }));
    case "call_rung": {
      const { call_number, of, until } = body;
      return { ...parcel, ring: { call_number, of, until } };
    }
    case "joined":
    case "call_declined":
      return quieter(parcel, body.call_number, [actor_id]);
    case "call_missed":
      return quieter(parcel, body.call_number, body.of);
    case "call_ended":
      return parcel.ring === null ? parcel : { ...parcel, ring: null };
    default:
      return parcel;
  }
}

/** @param {Parcel} parcel @param {number} number @param {Partial<Notice>} changed @returns {Parcel} */
function withNotice(parcel, number, changed) {
  if (parcel.notice?.number !== number) return parcel;
  return { ...parcel, notice: { ...parcel.notice, ...changed } };
}

/** Handing over is acting on the answer too, whatever it was. @param {Parcel} parcel @returns {Parcel} */
function acted(parcel) {
  if (!parcel.notice) return parcel;
  const { answer } = parcel.notice;
  return { ...parcel, notice: { ...parcel.notice, answer: answer && { ...answer, taken: true } } };
}

/** @param {Parcel} parcel @param {number} number @param {(order: Order) => Partial<Order>} change @returns {Parcel} */
function withOrder(parcel, number, change) {
  const orders = parcel.orders.map((order) =>
    order.number === number ? { ...order, ...change(order) } : order,
  );
  return { ...parcel, orders };
}

/** The call rings for these no more. @param {Parcel} parcel @param {number} call_number @param {readonly string[]} gone @returns {Parcel} */
function quieter(parcel, call_number, gone) {
  const { ring } = parcel;
  if (ring?.call_number !== call_number) return parcel;
  const of = ring.of.filter((actor_id) => !gone.includes(actor_id));
  return { ...parcel, ring: of.length > 0 ? { ...ring, of } : null };
}
