// @ts-check
/**
 * The pictures of a call: one tile for the own camera and one a receive slot, one of them large.
 *
 * The receive tiles exist and play before anybody sits in them, so that the first keyframe after the tap is not
 * lost; who sits where comes from `slots`.
 */

import { h, icon, set, show, text } from "./dom.js";
import { networkBars, networkOf } from "./network.js";
import { nameOf } from "./sentences.js";
import { Freshness, standingWords } from "./standing.js";
import { inCall, others, pictureOf, targetOf } from "./state.js";
import { markFirstFrame } from "./timings.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Words} Words */
/**
 * @typedef {{
 *   tile: HTMLElement, video: HTMLVideoElement, caption: HTMLElement, note: HTMLElement, network: HTMLElement,
 *   standing: HTMLElement, freshness: Freshness,
 * }} Tile
 */

const SLOTS = 3;
const AGED_EVERY_MS = 500; // the age of a picture is told in seconds

/** A media element that waits for its first picture holds back the page's load event, for ever if nobody comes. */
const loaded = new Promise((resolve) => {
  if (document.readyState === "complete") resolve(null);
  else addEventListener("load", resolve, { once: true });
});

export class Stage {
  #onTarget;
  #roomy;
  /** @type {Tile[]} */
  #seats = [];
  /** @type {Tile} */
  #own;
  /** @type {string | null} */
  #chosen = null;
  #sounding = false;
  /** Browsers let sound through without a tap while they capture; one more try, once the camera runs. */
  #retry = false;
  /** Counts the tries to be heard: a late refusal of an earlier one says nothing any more. */
  #turn = 0;
  /** @type {State | null} */
  #state = null;
  /** Runs while a picture stands. @type {ReturnType<typeof setInterval> | undefined} */
  #aging;

  /**
   * @param {{onTarget: () => void, roomy: boolean}} options
   *   onTarget: another picture was made the large one; roomy: every tile has room for role and name
   */
  constructor({ onTarget, roomy }) {
    this.#onTarget = onTarget;
    this.#roomy = roomy;
    this.#own = this.#tile("own-video");
    for (let slot = 0; slot < SLOTS; slot += 1) this.#seats.push(this.#tile("remote-video"));
    this.sound = h("button", {
      class: "button sound",
      type: "button",
      hidden: true,
      testid: "sound",
      on: { click: () => this.unmute() },
    });
    this.empty = h("p", { class: "stage-empty" });
    this.element = h(
      "section",
      { class: "stage" },
      this.empty,
      ...this.#seats.map(({ tile }) => tile),
      this.#own.tile,
      this.sound,
    );
  }

  /** Whose picture is large: the one that the shutter takes. null: nobody's. */
  get target() {
    return this.#state ? targetOf(this.#state, this.#chosen) : null;
  }

  /** @param {string} actor_id @returns {HTMLVideoElement | null} */
  videoOf(actor_id) {
    const tile = [this.#own, ...this.#seats].find(({ video }) => video.dataset.actorId === actor_id);
    return tile?.video ?? null;
  }

  /** @param {string | null} actor_id */
  choose(actor_id) {
    this.#chosen = actor_id;
    this.#onTarget();
  }

  /** @param {import("./media_link.js").Received[]} received */
  async setSlots(received) {
    await loaded;
    for (const [slot, { stream }] of received.entries()) {
      const seat = this.#seats[slot];
      if (!seat) continue;
      seat.video.srcObject = stream;
      markFirstFrame(seat.video);
      this.#play(seat.video);
    }
  }

  /** After the tap: watch for the first picture of somebody else. */
  watchFirstFrame() {
    for (const { video } of this.#seats) markFirstFrame(video);
  }

  /** @param {import("./camera.js").Tracks} tracks @param {boolean} mirrored */
  setOwn(tracks, mirrored) {
    const { video, tile } = this.#own;
    const track = tracks.video;
    const shown =
      video.srcObject instanceof MediaStream ? (video.srcObject.getVideoTracks()[0] ?? null) : null;
    if (shown !== track) {
      video.srcObject = null; // FACTS of iOS: let go of the old camera before the new one is shown
      if (track) video.srcObject = new MediaStream([track]);
    }
    tile.classList.toggle("is-mirrored", mirrored);
    if (track) this.#play(video);
    this.#retry = tracks.audio !== null || tracks.video !== null;
    if (this.#retry && this.#sounding) this.unmute();
  }

  /** With the tap of a person the browser lets sound through. */
  unmute() {
    this.#sounding = true;
    this.#turn += 1;
    for (const { video } of this.#seats) {
      video.muted = false;
      this.#play(video);
    }
  }

  silence() {
    this.#sounding = false;
    for (const { video } of this.#seats) video.muted = true;
    show(this.sound, false);
  }

  /** @param {State} state @param {Words} words @param {{waiting: string}} say */
  update(state, words, { waiting }) {
    this.#state = state;
    const target = this.target;
    const present = inCall(state) ? others(state) : [];
    let small = 0;
    for (const [slot, seat] of this.#seats.entries()) {
      const actor_id = state.slots.find((taken) => taken.slot === slot)?.actor_id ?? null;
      const seated = actor_id !== null && present.includes(actor_id) ? actor_id : null;
      set(seat.video, "data-actor-id", seated);
      set(seat.tile, "data-seated", seated !== null);
      if (seated === null) {
        set(seat.tile, "data-picture", null);
        continue;
      }
      const large = seated === target;
      this.#place(seat.tile, large, large ? 0 : small++);
      const person = state.people.find(({ actor_id }) => actor_id === seated);
      const name = nameOf(state, seated, words);
      const role = state.known[seated]?.role;
      text(
        seat.caption,
        (large || this.#roomy) && role && name !== words.role[role] ? `${words.role[role]} ${name}` : name,
      );
      set(seat.tile, "data-muted", person?.audio_muted ?? false);
      this.#network(seat, seated, words.show_large(name), words);
      const silent = person?.connection === "silent" || person?.connection === "none";
      const off = !silent && (person?.video_muted ?? false);
      set(seat.tile, "data-off", off);
      // Where nothing comes at all, that is said, and not what would come of it.
      const picture = silent || off ? "live" : pictureOf(state, seated);
      set(seat.tile, "data-picture", picture === "live" ? null : picture);
      text(
        seat.note,
        silent
          ? words.their_connection_silent(name)
          : person?.video_muted
            ? words.their_picture_off(name)
            : "",
      );
    }
    this.#updateStanding(words);
    const me = state.you?.actor_id ?? null;
    set(this.#own.video, "data-actor-id", me);
    set(this.#own.tile, "data-seated", true);
    set(this.#own.tile, "data-off", !state.has_video);
    set(this.#own.tile, "data-muted", state.audio_muted);
    text(this.#own.caption, words.you);
    text(this.#own.note, state.has_video ? "" : words.no_picture);
    this.#network(this.#own, me, words.show_large(words.you), words);
    this.#place(this.#own.tile, me !== null && me === target, 0);
    text(this.sound, words.tap_for_sound);
    text(this.empty, waiting);
    show(this.empty, present.length === 0 && target !== me);
  }

  /** Says what stands, and how old it is, for as long as it does. @param {Words} words */
  #updateStanding(words) {
    clearInterval(this.#aging);
    const age = () => {
      for (const { tile, video, standing, freshness } of this.#seats) {
        const age_s = freshness.handleReading(shownBy(video), performance.now() / 1000);
        const picture = /** @type {import("./protocol.js").Picture} */ (tile.dataset.picture ?? "live");
        const { what, age } = standingWords(picture, age_s, words);
        const [first, second] = standing.children;
        if (first && second) {
          text(first, what);
          text(second, age);
        }
        show(standing, picture !== "live");
      }
      if (!this.element.isConnected) clearInterval(this.#aging);
    };
    age();
    if (this.#seats.some(({ tile }) => tile.dataset.picture)) this.#aging = setInterval(age, AGED_EVERY_MS);
  }

  /** @param {Tile} seat @param {string | null} actor_id @param {string} label @param {Words} words */
  #network({ tile, network }, actor_id, label, words) {
    const level = this.#state && actor_id !== null ? networkOf(this.#state, actor_id) : null;
    show(network, level !== null);
    set(network, "data-state", level);
    const word = level === null ? "" : words.network[level];
    text(/** @type {Element} */ (network.lastElementChild), word);
    set(tile, "title", level === null ? label : `${label} · ${words.network_is(word)}`);
  }

  /** @param {HTMLElement} tile @param {boolean} large @param {number} place */
  #place(tile, large, place) {
    tile.classList.toggle("is-large", large);
    tile.style.setProperty("--place", String(place));
  }

  /** @param {string} testid @returns {Tile} */
  #tile(testid) {
    const video = h("video", { testid, autoplay: true, playsinline: true, muted: true });
    video.muted = true;
    const caption = h("span");
    const note = h("span", { class: "tile-note" });
    const standing = h(
      "span",
      { class: "tile-standing", testid: "standing", hidden: true },
      h("span", { class: "standing-what" }),
      h("span", { class: "standing-age" }),
    );
    const network = h(
      "span",
      { class: "network", testid: "network", hidden: true },
      networkBars(),
      h("span"),
    );
    const tile = h(
      "button",
      {
        type: "button",
        class: testid === "own-video" ? "tile is-own" : "tile",
        on: {
          click: () => {
            if (video.dataset.actorId) this.choose(video.dataset.actorId);
          },
        },
      },
      video,
      note,
      standing,
      h(
        "span",
        { class: "tile-name" },
        h("span", { class: "tile-who" }, caption, icon("microphone_off")),
        network,
      ),
    );
    return { tile, video, caption, note, network, standing, freshness: new Freshness() };
  }

  /** @param {HTMLVideoElement} video */
  #play(video) {
    const own = video === this.#own.video;
    const turn = this.#turn;
    video.muted = own || !this.#sounding;
    video.play().catch((error) => {
      // No tap on this page yet (a reload): picture now, sound with the next tap.
      if (own || turn !== this.#turn || error?.name !== "NotAllowedError" || video.muted) return;
      if (this.#retry) {
        this.#retry = false;
        this.unmute();
        return;
      }
      video.muted = true;
      video.play().catch(() => {});
      show(this.sound, true);
    });
    if (!own && this.#sounding && !video.muted) show(this.sound, false);
  }
}

/** How many pictures it has shown. @param {HTMLVideoElement} video */
function shownBy(video) {
  return video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
}

/** What a video shows now, as a picture to hold its place until the sealed one is here. @param {HTMLVideoElement | null} video */
export function glimpse(video) {
  const canvas = h("canvas", { class: "glimpse" });
  if (!video || video.videoWidth === 0) return canvas;
  canvas.width = Math.min(320, video.videoWidth);
  canvas.height = Math.round((canvas.width * video.videoHeight) / video.videoWidth);
  canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas;
}
