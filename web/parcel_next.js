// @ts-check
/**
 * What is to be done next about the parcel, for whoever looks: one card, from the page's state. Pure.
 *
 *     customer   confirm ◄ choose ◄ answered            the parcel, once it is there, before everything else
 *     courier    decision ◄ answer ◄ change ◄ unanswered ◄ go ◄ awaiting ◄ begin
 *
 * What was tapped and waits for the network counts as done, and says that it waits.
 */

/** @typedef {import("./parcel.js").Answer} Answer */
/** @typedef {import("./parcel.js").Change} Change */
/** @typedef {import("./parcel.js").HandedOver} HandedOver */
/** @typedef {import("./parcel.js").Notice} Notice */
/** @typedef {import("./parcel.js").Order} Order */
/** @typedef {import("./protocol.js").ChangeOf} ChangeOf */
/** @typedef {import("./protocol.js").Command} Command */
/** @typedef {import("./state.js").State} State */

/**
 * `waiting`: the command of this card is on its way.
 * @typedef {{card: "choose", notice: Notice, changing: boolean}
 *   | {card: "answered", notice: Notice, answer: Omit<Answer, "number" | "actor_id">, waiting: boolean}
 *   | {card: "receipt", handed_over: HandedOver, waiting: boolean}
 *   | {card: "confirmed", handed_over: HandedOver}
 *   | {card: "refused", handed_over: HandedOver}
 *   | {card: "decision", order: Order, waiting: boolean}
 *   | {card: "answer", answer: Answer, waiting: boolean}
 *   | {card: "change", what: ChangeOf, change: Change, waiting: boolean}
 *   | {card: "unanswered", notice: Notice}
 *   | {card: "go", answer: Answer}
 *   | {card: "awaiting", notice: Notice}
 *   | {card: "handing_over", how: string}
 *   | {card: "unconfirmed", handed_over: HandedOver}
 *   | {card: "begin"}} Next
 */

/**
 * The newest command of a kind that has not reached the log yet.
 * @template {Command["kind"]} Kind
 * @param {State} state
 * @param {Kind} kind
 * @param {(command: Extract<Command, {kind: Kind}>) => boolean} [fits]
 * @returns {Extract<Command, {kind: Kind}> | null}
 */
export function waitingFor(state, kind, fits = () => true) {
  const found = state.waiting.findLast(
    ({ command }) => command.kind === kind && fits(/** @type {Extract<Command, {kind: Kind}>} */ (command)),
  );
  return found ? /** @type {Extract<Command, {kind: Kind}>} */ (found.command) : null;
}

/**
 * @param {State} state
 * @param {import("./protocol.js").Role} role
 * @param {{changing: boolean}} wish changing: the customer wants to choose anew
 * @returns {Next | null} null: nothing is to be done, or seen
 */
export function nextCard(state, role, wish) {
  const done = settledCard(state);
  if (state.case?.state === "ended") return done?.card === "confirmed" ? done : null;
  if (role === "customer") return done ?? customerCard(state, wish);
  return role === "courier" ? courierCard(state, done) : null;
}

/** How the last hand-over ended, as long as nothing new has begun. @param {State} state @returns {Next | null} */
function settledCard({ parcel: { handed_over, notice } }) {
  if (!handed_over?.settled) return null;
  if (handed_over.settled.kind === "confirmed") return { card: "confirmed", handed_over };
  return (notice?.number ?? 0) > handed_over.settled.number ? null : { card: "refused", handed_over };
}

/** Whether the customer has the parcel, and says so: nothing is to be announced, changed or handed over any more. @param {State} state */
export function isDelivered({ parcel: { handed_over } }) {
  return handed_over?.settled?.kind === "confirmed";
}

/** @param {State} state @param {{changing: boolean}} wish @returns {Next | null} */
function customerCard(state, { changing }) {
  const { handed_over, notice } = state.parcel;
  if (handed_over && !handed_over.settled) {
    const { number } = handed_over;
    const settling =
      waitingFor(state, "confirm", (command) => command.number === number) ??
      waitingFor(state, "refuse_receipt", (command) => command.number === number);
    return { card: "receipt", handed_over, waiting: settling !== null };
  }
  if (notice?.to !== "customer") return null;
  const said = waitingFor(state, "answer", (command) => command.number === notice.number);
  if (said) {
    const choice = notice.choices.find((one) => one.choice === said.choice);
    const { when_at = null, detail = null } = said;
    const answer = { choice: said.choice, label: choice?.label ?? {}, when_at, detail, taken: false };
    return { card: "answered", notice, answer, waiting: true };
  }
  if (!notice.answer) return notice.closed ? null : { card: "choose", notice, changing: false };
  if (changing && !notice.answer.taken) return { card: "choose", notice, changing: true };
  return { card: "answered", notice, answer: notice.answer, waiting: false };
}

/** @param {State} state @param {Next | null} done @returns {Next} */
function courierCard(state, done) {
  const { orders, notice, changes, handed_over } = state.parcel;
  const order = orders.find((one) => one.state === "decided");
  if (order) {
    const known = waitingFor(state, "acknowledge_exception", ({ number }) => number === order.number);
    return { card: "decision", order, waiting: known?.decided === order.decision?.number };
  }
  const handing = waitingFor(state, "hand_over");
  if (handing) return { card: "handing_over", how: handing.how };
  const answer = notice?.to === "customer" ? notice.answer : null;
  if (answer && !answer.taken) {
    const taking = waitingFor(state, "take_answer", ({ number }) => number === answer.number);
    return { card: "answer", answer, waiting: taking !== null };
  }
  for (const [key, change] of Object.entries(changes)) {
    const what = /** @type {ChangeOf} */ (key);
    const answering = waitingFor(state, "answer_change", ({ number }) => number === change.number);
    return { card: "change", what, change, waiting: answering !== null };
  }
  if (done) return done;
  if (handed_over && !handed_over.settled) return { card: "unconfirmed", handed_over };
  if (!notice || notice.number < (handed_over?.settled?.number ?? 0)) return { card: "begin" };
  if (answer) return { card: "go", answer };
  return notice.unanswered ? { card: "unanswered", notice } : { card: "awaiting", notice };
}

/** What the case's own notices told this role last, while no later one asks for an answer. @param {State} state @param {string} role */
export function toldLast(state, role) {
  const { notice, handed_over } = state.parcel;
  const since = Math.max(notice?.number ?? 0, handed_over?.number ?? 0);
  const told = state.entries.findLast(
    ({ envelope, body }) => envelope.kind === "notice_sent" && body?.to === role && body.choices.length === 0,
  );
  return told?.body && told.envelope.number > since ? told : null;
}

/**
 * The call that rings for this person now, unless they are about to come.
 * @param {State} state
 * @param {number} now milliseconds of the service's clock
 */
export function ringing(state, now) {
  const { ring } = state.parcel;
  const me = state.you?.actor_id;
  if (!ring || me === undefined || !ring.of.includes(me) || state.wants_call) return null;
  if (Date.parse(ring.until) <= now || waitingFor(state, "decline_call")) return null;
  return ring;
}

/** The last call that this person missed and can still call back, until they have been in a later one. @param {State} state */
export function missedCall(state) {
  const me = state.you?.actor_id;
  const entry = state.entries.findLast(
    ({ envelope, body }) =>
      (envelope.kind === "call_missed" && body?.of.includes(me)) ||
      (envelope.kind === "joined" && envelope.actor_id === me),
  );
  return entry?.envelope.kind === "call_missed" && !state.call && state.case?.state !== "ended"
    ? entry
    : null;
}

/** Who began a call; null if the log does not say. @param {State} state @param {number} call_number */
export function callerOf(state, call_number) {
  const began = state.entries.findLast(
    ({ envelope, body }) => envelope.kind === "call_started" && body?.call_number === call_number,
  );
  return began?.envelope.actor_id ?? null;
}

const MEANT_BY = /** @type {const} */ ([
  "announce",
  "answer",
  "take_answer",
  "request_change",
  "answer_change",
  "withdraw_change",
  "hand_over",
  "confirm",
  "refuse_receipt",
  "report_exception",
  "acknowledge_exception",
  "decline_call",
]);

/** Whether a refused command was one of the cards'. @param {Command | null} command */
export function isOfParcel(command) {
  return command !== null && MEANT_BY.some((kind) => kind === command.kind);
}
