// @ts-check
/** Which entries call for somebody's eyes, and how they sound: by what was said, whatever the page shows now. Pure. */

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./protocol.js").Role} Role */
/** @typedef {"notice" | "answer" | "decision"} News the sound of `sounds.js` */

/** @type {Readonly<Partial<Record<Role, Readonly<Record<string, News>>>>>} */
const HEARD = Object.freeze({
  customer: {
    notice_repeated: "notice",
    handed_over: "notice",
    change_answered: "notice",
    exception_decided: "notice",
  },
  courier: {
    answered: "answer",
    confirmed: "answer",
    change_requested: "notice",
    notice_unanswered: "notice",
    receipt_refused: "decision",
    exception_decided: "decision",
  },
});

/** From what can wait a little to what cannot. @type {readonly News[]} */
const URGENCY = ["notice", "answer", "decision"];

/**
 * @param {Entry} entry
 * @param {Role} role of who looks
 * @param {string | undefined} me who has said it themselves needs no sound
 * @returns {News | null}
 */
export function newsOf({ envelope, body }, role, me) {
  if (body === null || envelope.actor_id === me) return null;
  if (envelope.kind === "notice_sent") return body.to === role ? "notice" : null;
  return HEARD[role]?.[envelope.kind] ?? null;
}

/** Of several at once only one is heard. @param {readonly News[]} news */
export function mostUrgent(news) {
  return URGENCY.findLast((one) => news.includes(one)) ?? null;
}
