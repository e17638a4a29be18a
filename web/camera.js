// @ts-check
/**
 * The phone's own camera and microphone: asked for, flipped, taken back after the phone took them away.
 *
 * A second getUserMedia mutes the first on iOS, so it is always: stop, get, replace. What can go wrong comes in
 * six plain kinds, told by the type of the error and never by the name of the browser.
 */

/** @typedef {"denied" | "missing" | "busy" | "insecure" | "web_view" | "other"} CameraProblem */

/**
 * @param {unknown} error what getUserMedia rejected with, or null when it is not there to be called
 * @param {{secure: boolean, available: boolean}} page secure context? does mediaDevices exist?
 * @returns {CameraProblem}
 */
export function cameraProblem(error, { secure, available }) {
  if (!secure) return "insecure";
  if (!available) return "web_view";
  switch (error instanceof Error || error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
    case "PermissionDeniedError":
      return "denied";
    case "NotFoundError":
    case "DevicesNotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return "busy";
    default:
      return "other";
  }
}

/** @typedef {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} Tracks */

/** @type {MediaTrackConstraints} */
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** @param {MediaTrackConstraints} which @returns {MediaTrackConstraints} */
function picture(which) {
  // 720p is what a frame needs to show a scratch; the encoder goes below it by itself when the network must.
  return { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25 }, ...which };
}

/** Of the camera that is open on this page. @type {MediaStreamTrack | null} */
let open_sound = null;

/** The microphone that is open already: asking for it a second time would mute a call on iOS. */
export function openMicrophone() {
  return open_sound?.readyState === "live" ? open_sound : null;
}

export class Camera {
  #onChange;
  /** @type {"user" | "environment"} */
  #facing;
  /** @type {Tracks} */
  #tracks = { audio: null, video: null };
  #wanted = { audio: false, video: false };
  /** @type {Promise<void>} */
  #turn = Promise.resolve();

  /**
   * @param {{facing: "user" | "environment", signal: AbortSignal, onChange: (tracks: Tracks, problem: CameraProblem | null) => void}} options
   *   onChange is called whenever a track came, went or could not be had
   */
  constructor({ facing, signal, onChange }) {
    this.#facing = facing;
    this.#onChange = onChange;
    document.addEventListener("visibilitychange", () => this.#whenVisible(), { signal });
  }

  get tracks() {
    return this.#tracks;
  }

  /** Whether the own picture should look like a mirror. */
  get mirrored() {
    const facing = this.#tracks.video?.getSettings().facingMode;
    return facing === undefined ? this.#facing === "user" : facing === "user";
  }

  /** @param {{audio: boolean, video: boolean}} wanted */
  start(wanted) {
    this.#wanted = wanted;
    return this.#oneAtATime(() => this.#acquire(wanted, { facingMode: this.#facing }));
  }

  /** The next camera of the phone; the sound goes on. */
  flip() {
    return this.#oneAtATime(async () => {
      if (!this.#wanted.video) return;
      const before = this.#tracks.video?.getSettings();
      this.#facing = this.#facing === "user" ? "environment" : "user";
      /** @type {MediaTrackConstraints} */
      let which = { facingMode: this.#facing };
      if (before?.facingMode === undefined) {
        const cameras = await videoInputs();
        const index = cameras.findIndex((camera) => camera.deviceId === before?.deviceId);
        const next = cameras[(index + 1) % Math.max(1, cameras.length)];
        if (next) which = { deviceId: { exact: next.deviceId } };
      }
      await this.#acquire({ audio: false, video: true }, which);
    });
  }

  async canFlip() {
    return (await videoInputs()).length > 1;
  }

  stop() {
    this.#wanted = { audio: false, video: false };
    this.#release({ audio: true, video: true });
    this.#onChange(this.#tracks, null);
  }

  /** @param {() => Promise<void>} work */
  #oneAtATime(work) {
    this.#turn = this.#turn.then(work, work);
    return this.#turn;
  }

  /** @param {{audio: boolean, video: boolean}} kinds */
  #release(kinds) {
    if (kinds.audio) this.#tracks.audio?.stop();
    if (kinds.video) this.#tracks.video?.stop();
    this.#tracks = {
      audio: kinds.audio ? null : this.#tracks.audio,
      video: kinds.video ? null : this.#tracks.video,
    };
    if (kinds.audio) open_sound = null;
  }

  /**
   * @param {{audio: boolean, video: boolean}} kinds
   * @param {MediaTrackConstraints} which
   */
  async #acquire(kinds, which) {
    if (!kinds.audio && !kinds.video) return;
    this.#release(kinds);
    const available = typeof navigator.mediaDevices?.getUserMedia === "function";
    try {
      if (!window.isSecureContext || !available) throw null;
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: kinds.audio && SOUND,
        video: kinds.video && picture(which),
      });
      for (const track of stream.getTracks()) {
        track.addEventListener("ended", () => this.#whenEnded(track));
      }
      if (!this.#wanted.audio && !this.#wanted.video) {
        for (const track of stream.getTracks()) track.stop(); // hung up while the question stood
        return;
      }
      this.#tracks = {
        audio: kinds.audio ? (stream.getAudioTracks()[0] ?? null) : this.#tracks.audio,
        video: kinds.video ? (stream.getVideoTracks()[0] ?? null) : this.#tracks.video,
      };
      open_sound = this.#tracks.audio;
      this.#onChange(this.#tracks, null);
    } catch (error) {
      this.#onChange(this.#tracks, cameraProblem(error, { secure: window.isSecureContext, available }));
    }
  }

  /** @param {MediaStreamTrack} track */
  #whenEnded(track) {
    if (track !== this.#tracks.audio && track !== this.#tracks.video) return;
    if (document.visibilityState === "visible") this.#reacquire();
  }

  /** A lock, a call, another app may have taken the camera meanwhile. */
  #whenVisible() {
    if (document.visibilityState === "visible") this.#reacquire();
  }

  #reacquire() {
    /** @param {MediaStreamTrack | null} track */
    const gone = (track) => track?.readyState === "ended";
    const audio = this.#wanted.audio && gone(this.#tracks.audio);
    const video = this.#wanted.video && gone(this.#tracks.video);
    if (audio || video) {
      this.#oneAtATime(() => this.#acquire({ audio, video }, { facingMode: this.#facing }));
    }
  }
}

async function videoInputs() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter((device) => device.kind === "videoinput");
}
