// @ts-check
/**
 * One person's part in a call: the session, the media and the camera, and the wish that joins them.
 *
 * The media connect as soon as the page is there; sound and picture go into the connection only when the person has
 * tapped. From then on the wish stands until they hang up: lost, reloaded or restarted, the page joins again.
 */

import { Api } from "./api.js";
import { Camera } from "./camera.js";
import { MediaLink } from "./media_link.js";
import { patience } from "./network.js";
import { add, NOTHING_PLAYED } from "./playback.js";
import { Session } from "./session.js";
import { inCall, intentions } from "./state.js";
import { remember, remembered } from "./token.js";

/** @typedef {import("./camera.js").Tracks} Tracks */
/** @typedef {import("./media_link.js").Received} Received */

export class Participation {
  #wish_key;
  #consent;
  /** @type {Tracks} */
  #own = { audio: null, video: null };
  #silent = { audio: null, video: null };
  #audio_muted = false;
  #signalled = "";
  /** Not told yet. @type {import("./playback.js").Played} */
  #played = NOTHING_PLAYED;
  #closed = new AbortController();

  /**
   * @param {{
   *   case_id: string, actor_id: string, token: string, facing: "user" | "environment",
   *   consent: () => {statement: string, language: import("./protocol.js").Language},
   *   onSlots: (received: Received[]) => void, onOwn: (tracks: Tracks) => void,
   * }} options
   */
  constructor({ case_id, actor_id, token, facing, consent, onSlots, onOwn }) {
    const { signal } = this.#closed;
    this.#consent = consent;
    this.#wish_key = `proofcall.wish.${case_id}.${actor_id}`;
    this.api = new Api(token);
    this.session = new Session({ case_id, actor_id, token });
    this.media = new MediaLink({
      api: this.api,
      case_id,
      actor_id,
      signal,
      onSession: () => this.#signal(),
      onState: (state) => this.session.dispatch({ type: "media", state }),
      onSlots,
      onPlayed: (played, outgoing_bps) => this.#tellPlayed(played, outgoing_bps),
    });
    this.camera = new Camera({
      facing,
      signal,
      onChange: (tracks, problem) => {
        this.#own = tracks;
        if (tracks.audio) tracks.audio.enabled = !this.#audio_muted;
        this.session.dispatch({
          type: "camera",
          state: problem ? "failed" : tracks.audio || tracks.video ? "ready" : "none",
          has_video: tracks.video !== null,
          has_audio: tracks.audio !== null,
          ...(problem && { problem }),
        });
        this.#send();
        onOwn(tracks);
      },
    });
    this.api.onClock = (offset_ms) => this.session.dispatch({ type: "clock", offset_ms });
    document.addEventListener("visibilitychange", () => this.#signal(), { signal });
    this.session.watch((state, before) => this.#follow(state, before));
    const wish = remembered(this.#wish_key);
    if (wish !== null) {
      this.media.want(true);
      this.session.dispatch({ type: "wish", wants_call: true });
    }
    /** What the person chose to show before the page was reloaded. @type {{audio: boolean, video: boolean} | null} */
    this.kept = wish === null ? null : { audio: wish.includes("audio"), video: wish.includes("video") };
  }

  get state() {
    return this.session.state;
  }

  /** Asks for camera and microphone. @param {{audio: boolean, video: boolean}} kinds */
  async ask(kinds) {
    if (!kinds.audio && !kinds.video) return;
    this.session.dispatch({ type: "camera", state: "asking" });
    await this.camera.start(kinds);
  }

  /** The tap: agreed, and in. @param {{audio: boolean, video: boolean}} kinds what is shown of the person */
  join(kinds) {
    remember(this.#wish_key, `join ${kinds.audio ? "audio" : ""} ${kinds.video ? "video" : ""}`);
    this.media.want(true);
    this.session.dispatch({ type: "wish", wants_call: true });
    this.#send();
    this.media.take();
  }

  /** Leaves with the media; should that not get through, the command waits until it does. */
  async hangUp() {
    remember(this.#wish_key, null);
    this.media.want(false);
    this.session.dispatch({ type: "wish", wants_call: false });
    this.camera.stop();
    await this.media.leave();
    const joining = this.state.waiting.some(({ command }) => command.kind === "join");
    if (inCall(this.state) || joining) this.session.command({ kind: "leave" });
  }

  /** The page shows something else now: out of the call, off the line. */
  async close() {
    if (this.state.wants_call) await this.hangUp();
    this.#closed.abort();
    this.media.stop();
    this.camera.stop();
    this.session.stop();
  }

  /** @param {boolean} muted */
  muteAudio(muted) {
    this.#audio_muted = muted;
    if (this.#own.audio) this.#own.audio.enabled = !muted;
    this.#signal();
  }

  /** @param {import("./state.js").State} state @param {import("./state.js").State} before */
  #follow(state, before) {
    for (const command of intentions(state, this.#consent())) this.session.command(command);
    if (state.socket !== before.socket) {
      this.#signalled = "";
      this.#signal();
    }
    const me = state.people.find((person) => person.actor_id === state.you?.actor_id);
    if (me && state.people !== before.people) this.media.handleServerView(me);
    if (state.orders !== before.orders) this.media.encode(state.orders);
    if (state.qualities !== before.qualities || state.slots !== before.slots) {
      this.media.wait(patience(state));
    }
    if (state.case?.state === "ended" && before.case?.state !== "ended") {
      this.media.stop();
      this.camera.stop();
    }
    if (before.wants_call && !state.wants_call) {
      // Hung up, refused, ended or on another device: nothing of the person leaves, and a reload does not ask again.
      remember(this.#wish_key, null);
      this.media.want(false);
      this.#send();
      if (state.media === "elsewhere") this.camera.stop();
    }
    if (["revoked", "replaced", "erased"].includes(state.socket) && state.socket !== before.socket) {
      this.media.stop();
      this.camera.stop();
    }
  }

  #send() {
    this.media.send(this.state.wants_call ? this.#own : this.#silent);
    this.#signal();
  }

  /** Tells the others what is switched off, and the own page too. */
  #signal() {
    const audio = this.#audio_muted || this.#own.audio === null;
    const hidden = this.#own.video !== null && document.visibilityState !== "visible";
    const video = this.#own.video === null || hidden;
    const { state } = this;
    if (state.audio_muted !== this.#audio_muted || state.video_muted !== video) {
      this.session.dispatch({ type: "muted", audio: this.#audio_muted, video });
    }
    // The server forgets it with the socket; on the same socket once is enough.
    const media_session = this.media.session;
    const said = `${audio} ${video} ${hidden} ${media_session}`;
    if (this.#signalled === said || state.socket !== "live") return;
    this.#signalled = said;
    this.session.signal({ kind: "muted", audio, video, hidden, media_session });
  }

  /**
   * Only this page knows how it played what came.
   * @param {import("./playback.js").Played} played
   * @param {number | null} outgoing_bps
   */
  #tellPlayed(played, outgoing_bps) {
    if (!inCall(this.state)) {
      this.#played = NOTHING_PLAYED;
      return;
    }
    this.#played = add(this.#played, played);
    if (this.state.socket !== "live") return;
    this.session.signal({ kind: "playback", ...this.#played, outgoing_bps });
    this.#played = NOTHING_PLAYED;
  }
}
