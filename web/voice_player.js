// @ts-check
/** Voice notes, one at a time: play, pause, and how far it has come. */

export class VoicePlayer {
  #pictures;
  #onChange;
  #audio = new Audio();
  /** @type {string | null} */
  #key = null;
  /** Which note could not be had. @type {string | null} */
  failed = null;

  /** @param {{pictures: import("./pictures.js").Pictures, onChange: () => void}} options pictures: checked bytes by their hash */
  constructor({ pictures, onChange }) {
    this.#pictures = pictures;
    this.#onChange = onChange;
    for (const event of ["play", "pause", "timeupdate", "ended"]) {
      this.#audio.addEventListener(event, () => this.#onChange());
    }
  }

  /** @param {string} key */
  playing(key) {
    return this.#key === key && !this.#audio.paused;
  }

  /** 0 to 1. @param {string} key @param {number} duration_ms */
  progress(key, duration_ms) {
    if (this.#key !== key || duration_ms <= 0) return 0;
    return Math.min(1, (this.#audio.currentTime * 1000) / duration_ms);
  }

  /**
   * Plays it, or pauses it if it plays.
   * @param {string} key
   * @param {import("./protocol.js").BlobReference} blob
   */
  async toggle(key, blob) {
    if (this.#key === key && this.#audio.src !== "") {
      if (this.#audio.paused) await this.#play(key);
      else this.#audio.pause();
      return;
    }
    this.#audio.pause();
    this.#key = key;
    this.failed = null;
    try {
      const { address } = await this.#pictures.get(blob);
      if (this.#key !== key) return;
      this.#audio.src = address;
    } catch {
      this.#fail(key);
      return;
    }
    await this.#play(key);
  }

  /** @param {string} key */
  async #play(key) {
    try {
      await this.#audio.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return; // another one was chosen meanwhile
      this.#fail(key);
    }
  }

  /** @param {string} key */
  #fail(key) {
    if (this.#key !== key) return;
    this.#key = null;
    this.failed = key;
    this.#onChange();
  }
}
