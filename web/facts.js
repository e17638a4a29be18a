// @ts-check
/** The right column of the desk: who is there, and the chosen entry whole, with its picture and its proof. */

import { authenticatedBy, CustodyList } from "./custody_list.js";
import { h, icon, keyed, set, show, text } from "./dom.js";
import { isErased } from "./erasure.js";
import { blobOf, NotHere, proofSteps, stepsOf } from "./evidence.js";
import { NetworkTable } from "./network_table.js";
import { degreesOf, placeLink } from "./place_link.js";
import { duration, nameOf, refusedWhat, sentenceOf } from "./sentences.js";
import { fullTime, megabytes, percent, shortHash } from "./words.js";

/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {import("./evidence.js").Step} Step */

const VKEY = "proofcall.vkey";

/** The key that this browser believes: the first it saw. @param {string} shown what the service shows now */
function pinnedVkey(shown) {
  try {
    const pinned = localStorage.getItem(VKEY);
    if (pinned !== null) return pinned;
    localStorage.setItem(VKEY, shown);
  } catch {
    // no storage: nothing to compare with
  }
  return shown;
}

/** @type {Record<import("./evidence.js").StepState, import("./dom.js").IconName>} */
const MARKS = { waiting: "dots", running: "dots", passed: "check", failed: "cross", unavailable: "dash" };

export class Facts {
  #sources;
  /** @type {Entry | null} */
  #entry = null;
  /** @type {Step[]} */
  #steps = [];
  #checking = 0;
  #redraw;
  #attachments;
  #words;

  /**
   * @param {{
   *   api: import("./api.js").Api, case_id: string, pictures: import("./pictures.js").Pictures, sources: HTMLElement,
   *   attachments: import("./attachment_facts.js").AttachmentFacts, delivery: HTMLElement,
   *   placeWords: () => import("./orders_words.js").OrdersWords,
   *   onChange: () => void, onPicture: (entry: Entry) => void, onChoose: (number: number) => void,
   * }} options delivery: what stands above all else
   */
  constructor(options) {
    const { api, case_id, pictures, sources, attachments, delivery, placeWords } = options;
    const { onChange, onPicture, onChoose } = options;
    this.#attachments = attachments;
    this.#words = placeWords;
    this.#redraw = onChange;
    this.pictures = pictures;
    /** @type {import("./evidence.js").Sources} */
    this.#sources = {
      proof: (number) => api.proof(case_id, number),
      blob: async (sha256) => {
        const picture = pictureOf(this.#entry);
        if (this.#entry?.envelope.kind === "segment_sealed") throw new NotHere("piece_stays");
        return picture?.sha256 === sha256 ? (await pictures.get(picture)).bytes : api.blob(case_id, sha256);
      },
      pinnedVkey,
    };
    this.peopleTitle = h("h2");
    this.people = h("ul", { class: "people" });
    this.network = new NetworkTable();
    this.looked = new CustodyList(onChoose);
    this.title = h("h2");
    this.hint = h("p", { class: "quiet" });
    this.sentence = h("p", { class: "facts-sentence" });
    this.image = h("img", { testid: "frame-image", alt: "" });
    this.pictureNote = h("p", { class: "quiet" });
    this.frame = h(
      "button",
      {
        class: "facts-frame",
        type: "button",
        testid: "frame-open",
        on: { click: () => this.#entry && onPicture(this.#entry) },
      },
      this.image,
    );
    this.place = h("p", { class: "facts-place", hidden: true });
    this.list = h("dl", { class: "facts-list" });
    this.proofTitle = h("h3");
    this.proofSum = h("p", { class: "proof-sum", testid: "proof-sum" });
    this.steps = h("ol", { class: "steps" });
    this.keyNote = h("p", { class: "quiet" });
    this.proof = h("section", { class: "proof" }, this.proofTitle, this.steps, this.keyNote);
    this.chosen = h(
      "section",
      { class: "facts-entry", testid: "entry-facts" },
      h("header", { class: "facts-head" }, this.title, this.proofSum),
      this.hint,
      this.sentence,
      this.frame,
      this.pictureNote,
      attachments.element,
      this.place,
      this.list,
      this.proof,
    );
    this.element = h(
      "aside",
      { class: "desk-facts" },
      delivery,
      this.peopleTitle,
      this.people,
      this.network.element,
      sources,
      this.chosen,
      this.looked.element,
    );
  }

  get entry() {
    return this.#entry;
  }

  /** @param {Entry | null} entry @param {readonly Entry[]} entries */
  choose(entry, entries) {
    if (entry?.hash === this.#entry?.hash) return;
    this.#entry = entry;
    set(this.image, "src", null);
    this.pictureNote.dataset.state = "none";
    const where = entry?.body?.place ?? null;
    this.place.replaceChildren(...(where ? [placeLink(where)] : []));
    this.#attachments.choose();
    if (entry) {
      this.#load(entry);
      this.#check(entry, entries);
    }
    this.#redraw();
  }

  /** @param {Entry} entry */
  async #load(entry) {
    const blob = pictureOf(entry);
    if (!blob) return;
    this.pictureNote.dataset.state = "loading";
    try {
      const { address } = await this.pictures.get(blob);
      if (this.#entry !== entry) return;
      set(this.image, "src", address);
      this.pictureNote.dataset.state = "none";
    } catch {
      if (this.#entry === entry) this.pictureNote.dataset.state = "failed";
    }
    this.#redraw();
  }

  /** @param {Entry} entry @param {readonly Entry[]} entries */
  async #check(entry, entries) {
    this.#checking += 1;
    const run = this.#checking;
    this.#steps = stepsOf(entry).map((step) => ({ step, state: "waiting", detail: "" }));
    for await (const step of proofSteps(entry, entries, this.#sources)) {
      if (run !== this.#checking) return;
      this.#steps = this.#steps.map((known) => (known.step === step.step ? step : known));
      this.#redraw();
    }
  }

  /** @param {State} state @param {Words} words */
  update(state, words) {
    const { desk } = words;
    text(this.peopleTitle, desk.parties);
    const online = new Map(state.people.map((person) => [person.actor_id, person]));
    const ids = Object.keys(state.known).filter(
      (id) => online.has(id) || ["customer", "courier"].includes(state.known[id]?.role ?? ""),
    );
    keyed(
      this.people,
      ids,
      () => h("li", {}, h("span", { class: "state-mark" }), h("span"), h("span", { class: "quiet" })),
      (item, id) => {
        const known = state.known[id];
        const person = online.get(id);
        const [, name, note] = /** @type {HTMLElement[]} */ (Array.from(item.children));
        if (!known || !name || !note) return;
        const present = person?.online ?? false;
        set(item, "class", "state");
        set(item, "data-state", present ? "connected" : "away");
        text(
          name,
          id === state.you?.actor_id
            ? `${words.role[known.role]} · ${words.you}`
            : `${words.role[known.role]} ${known.name ?? ""}`,
        );
        const where = person?.in_call ? desk.live : present ? desk.online : desk.away;
        text(note, person?.in_call && person.connection !== "connected" ? words.network.silent : where);
      },
    );
    this.network.update(state, words);
    const entry = this.#entry;
    this.#attachments.update(entry, state);
    show(this.place, this.place.childElementCount > 0);
    if (this.place.firstElementChild) text(this.place.firstElementChild, this.#words().open_map);
    this.looked.update(state, words, entry?.envelope.number ?? null);
    show(this.hint, entry === null);
    text(this.hint, desk.nothing_chosen);
    text(this.title, entry ? desk.entry_facts(entry.envelope.number) : desk.facts);
    for (const part of [this.sentence, this.list, this.proof, this.proofSum]) show(part, entry !== null);
    const blob = pictureOf(entry);
    show(this.frame, blob !== null && this.image.hasAttribute("src"));
    const loading = this.pictureNote.dataset.state;
    show(this.pictureNote, loading === "loading" || loading === "failed");
    text(this.pictureNote, loading === "failed" ? desk.picture_failed : desk.picture_loading);
    if (!entry) return;
    text(this.sentence, sentenceOf(entry, state, words));
    set(this.image, "alt", sentenceOf(entry, state, words));
    this.#list(entry, state, words);
    this.#proof(entry, state, words);
  }

  /** @param {Entry} entry @param {State} state @param {Words} words */
  #list(entry, state, words) {
    const { desk } = words;
    const { envelope, body } = entry;
    const zone = state.case?.time_zone;
    const blob = pictureOf(entry);
    /** @type {[string, string, string, string, boolean][]} key, word, value, whole value, mono */
    const rows = [
      [
        "actor",
        desk.actor,
        [...new Set([words.role[envelope.role], nameOf(state, envelope.actor_id, words)])].join(" · "),
        "",
        false,
      ],
      ["recorded_at", desk.recorded_at, fullTime(envelope.recorded_at, zone), envelope.recorded_at, false],
    ];
    if (body) rows.push(...talkRows(body, this.#words(), zone));
    if (zone) rows.push(["zone", this.#words().zone, zone, "", false]);
    if (body?.pressed_at)
      rows.push(["pressed_at", desk.pressed_at, fullTime(body.pressed_at, zone), body.pressed_at, false]);
    if (body?.arrived_at)
      rows.push(["arrived_at", desk.arrived_at, fullTime(body.arrived_at, zone), body.arrived_at, false]);
    if (body?.statement) rows.push(["statement", desk.statement, body.statement, "", false]);
    if (body?.traffic) {
      const { sent_packets, received_packets, lost_packets } = body.traffic;
      rows.push([
        "traffic",
        desk.traffic,
        desk.traffic_text(sent_packets, received_packets, lost_packets),
        "",
        false,
      ]);
    }
    if (body?.began_at)
      rows.push(["began_at", desk.began_at, fullTime(body.began_at, zone), body.began_at, false]);
    if (envelope.kind === "gap_ended" && body) {
      const lasted = body.duration_ms === null ? words.unknown_time : duration(body.duration_ms, words);
      rows.push(["lasted", desk.lasted, `${lasted} · ${words.number(body.number)}`, "", false]);
    }
    if (envelope.kind === "call_quality" && body) rows.push(...qualityRows(body, words));
    if (body?.authenticated_by) {
      rows.push(["authenticated", desk.authenticated, authenticatedBy(body, words), "", false]);
    }
    if (envelope.kind === "refused" && body) {
      rows.push(["asked_for", desk.asked_for, refusedWhat(body.what, words), body.what, false]);
      rows.push(["reason", desk.reason, refusedReason(body.reason, words), body.reason, false]);
    }
    if (envelope.kind.startsWith("segment_") && body) rows.push(...pieceRows(body, words, zone));
    if (body?.journal) {
      const { call_number, first_segment, last_segment } = body.journal;
      const pieces = desk.piece_range(first_segment, last_segment);
      rows.push(["pieces", desk.pieces, `${desk.call} ${call_number} · ${pieces}`, "", false]);
    }
    if (blob && body) {
      rows.push(["size", desk.size, `${body.width} × ${body.height} · ${body.codec}`, "", false]);
      const { count, first_sequence_number, last_sequence_number } = body.packets ?? {};
      rows.push([
        "packets",
        desk.packets,
        desk.packets_text(count, first_sequence_number, last_sequence_number),
        "",
        false,
      ]);
      rows.push(["picture_hash", desk.picture_hash, shortHash(blob.sha256), blob.sha256, true]);
    }
    rows.push(["entry_hash", desk.entry_hash, shortHash(entry.hash), entry.hash, true]);
    keyed(
      this.list,
      rows.map(([key]) => `${key} ${entry.hash}`),
      (key) => {
        const row = rows.find(([name]) => key.startsWith(`${name} `));
        const value = row?.[4]
          ? h("button", { class: "hash", type: "button", testid: `${row[0].replace("_", "-")}` })
          : h("span");
        if (row?.[4]) {
          value.addEventListener("click", () => {
            const whole = value.dataset.whole ?? "";
            text(value, value.textContent === whole ? shortHash(whole) : whole);
          });
        }
        return h("div", { class: "facts-row" }, h("dt"), h("dd", {}, value));
      },
      (item, key) => {
        const row = rows.find(([name]) => key.startsWith(`${name} `));
        const value = /** @type {HTMLElement} */ (item.querySelector("dd > *"));
        if (!row) return;
        text(/** @type {Element} */ (item.firstElementChild), row[1]);
        set(value, "title", row[4] ? desk.hash_hint : row[3] || null);
        if (row[4]) value.dataset.whole = row[3];
        if (!row[4] || value.textContent === "") text(value, row[2]);
      },
    );
  }

  /** @param {Entry} entry @param {State} state @param {Words} words */
  #proof(entry, { entries }, words) {
    const { desk } = words;
    const passed = this.#steps.filter(({ state }) => state === "passed").length;
    const failed = this.#steps.some(({ state }) => state === "failed");
    const open = this.#steps.some(({ state }) => state === "waiting" || state === "running");
    text(this.proofTitle, desk.proof);
    set(
      this.proofSum,
      "data-state",
      failed ? "failed" : open ? "running" : passed === this.#steps.length ? "passed" : "unavailable",
    );
    text(this.proofSum, desk.proof_sum(passed, this.#steps.length));
    text(this.keyNote, desk.key_note);
    keyed(
      this.steps,
      this.#steps.map(({ step }) => `${step} ${entry.hash}`),
      () => h("li", { class: "step", testid: "proof-step" }),
      (item, key) => {
        const step = this.#steps.find(({ step }) => key.startsWith(`${step} `));
        if (!step) return;
        const reasons = desk.step_reason;
        const gone = step.detail === "withheld" && isErased(entry, entries);
        const reason = gone ? reasons.erased : reasons[/** @type {keyof typeof reasons} */ (step.detail)];
        const told = step.step === "blob" && pictureOf(entry) === null ? "piece" : step.step;
        const line =
          step.state === "unavailable" && reason
            ? `${desk.step_state.unavailable}${words.colon}${reason}`
            : desk.step_state[step.state];
        const same = item.dataset.state === step.state && item.dataset.line === line;
        if (same) return;
        set(item, "data-step", step.step);
        set(item, "data-state", step.state);
        set(item, "data-line", line);
        set(item, "title", step.detail);
        item.replaceChildren(
          icon(MARKS[step.state]),
          h("span", {}, desk.step[told]),
          h("span", { class: "step-state" }, line),
        );
      },
    );
  }
}

/** The picture that an entry sealed, if it did: not every blob is one. @param {Entry | null} entry */
function pictureOf(entry) {
  return entry?.envelope.kind === "frame_sealed" ? blobOf(entry.body) : null;
}

/** Why somebody was refused, by the codes of PROTOCOL.md. @param {string} reason @param {Words} words */
function refusedReason(reason, words) {
  const known = words.desk.refused_reason;
  return known[/** @type {keyof typeof known} */ (reason)] ?? reason;
}

/**
 * What the person's own device claims beside what the service has written.
 * @param {import("./protocol.js").Body} body
 * @param {import("./orders_words.js").OrdersWords} words
 * @param {string | undefined} zone
 * @returns {[string, string, string, string, boolean][]}
 */
function talkRows(body, words, zone) {
  /** @type {[string, string, string, string, boolean][]} */
  const rows = [];
  if (body.captured_at) {
    const claim = words.captured_claim(fullTime(body.captured_at, zone));
    rows.push(["captured_at", words.captured_at, claim, body.captured_at, false]);
  }
  if (body.clock) {
    const { offset_ms, uncertainty_ms } = body.clock;
    const told = words.phone_clock_text(offset_ms / 1000, uncertainty_ms / 1000);
    rows.push(["clock", words.phone_clock, told, `${offset_ms} ms ± ${uncertainty_ms} ms`, false]);
  }
  if (body.place) {
    const { latitude, longitude } = degreesOf(body.place);
    const told = `${latitude}, ${longitude} · ${words.accuracy(body.place.accuracy_m)}`;
    rows.push(["place", words.place, told, "", false]);
  }
  if (body.place_refused) rows.push(["place", words.place, words.place_refused, "", false]);
  if (typeof body.distance_m === "number") {
    rows.push(["distance", words.distance, words.distance_text(body.distance_m), "", false]);
  }
  return rows;
}

/**
 * @param {import("./protocol.js").Body} body of `segment_sealed` or `segment_lost`
 * @param {Words} words
 * @param {string | undefined} zone
 * @returns {[string, string, string, string, boolean][]}
 */
function pieceRows(body, words, zone) {
  const { desk } = words;
  /** @type {[string, string, string, string, boolean][]} */
  const rows = [
    ["ended_at", desk.ended_at, fullTime(body.ended_at, zone), body.ended_at, false],
    ["call", desk.call, `${body.call_number} · ${desk.piece_range(body.segment, body.segment)}`, "", false],
  ];
  for (const { ssrc, codec, media, packets } of body.streams ?? []) {
    const kind = desk.media[/** @type {"audio"} */ (media)] ?? media;
    rows.push([`stream${ssrc}`, desk.streams, desk.stream_text(codec, kind, packets), `SSRC ${ssrc}`, false]);
  }
  const { blob } = body;
  if (blob) rows.push(["piece_hash", desk.piece_hash, shortHash(blob.sha256), blob.sha256, true]);
  else {
    const reasons = desk.lost_reason;
    const reason = reasons[/** @type {keyof typeof reasons} */ (body.reason)] ?? body.reason;
    rows.push(["reason", desk.reason, reason, body.reason, false]);
  }
  return rows;
}

/**
 * @param {import("./protocol.js").Body} body of `call_quality`
 * @param {Words} words
 * @returns {[string, string, string, string, boolean][]}
 */
function qualityRows(body, words) {
  const { desk } = words;
  const { round_trip, gaps, playback_claim: claim } = body;
  /** @param {any} way */
  const told = ({ packets, bytes, lost_packets, repaired_packets, loss_permille }) =>
    desk.way_text(packets, megabytes(bytes), percent(loss_permille), repaired_packets, lost_packets);
  /** @type {[string, string, string, string, boolean][]} */
  const rows = [
    ["sent", desk.way_sent, told(body.sent), "", false],
    ["received", desk.way_received, told(body.received), "", false],
    ["gaps", desk.gaps, desk.gaps_text(gaps.count, duration(gaps.total_ms, words)), "", false],
  ];
  if (round_trip)
    rows.push([
      "round_trip",
      desk.round_trip,
      desk.round_trip_text(round_trip.median_ms, round_trip.max_ms),
      "",
      false,
    ]);
  if (claim) {
    const concealed = Math.round((1000 * claim.concealed_samples) / Math.max(1, claim.audio_samples));
    const frozen = desk.freezes_text(claim.freezes, claim.frozen_ms / 1000);
    rows.push([
      "claim",
      desk.claim,
      desk.claim_text(claim.frames, frozen, percent(Math.min(1000, concealed))),
      "",
      false,
    ]);
  }
  return rows;
}
