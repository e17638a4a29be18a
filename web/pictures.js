// @ts-check
/** Sealed pictures, fetched once, their bytes checked against the hash that the log names, and kept for the page. */

import { toHex } from "./evidence.js";

/** @typedef {{bytes: ArrayBuffer, address: string, genuine: boolean | null}} Picture genuine: null where this page has no cryptography */

export class Pictures {
  #api;
  #case_id;
  /** @type {Map<string, Promise<Picture>>} */
  #fetched = new Map();

  /** @param {import("./api.js").Api} api @param {string} case_id */
  constructor(api, case_id) {
    this.#api = api;
    this.#case_id = case_id;
  }

  /** @param {import("./protocol.js").BlobReference} blob @returns {Promise<Picture>} */
  get(blob) {
    let picture = this.#fetched.get(blob.sha256);
    if (!picture) {
      picture = this.#fetch(blob);
      this.#fetched.set(blob.sha256, picture);
      picture.catch(() => this.#fetched.delete(blob.sha256)); // asked again, it is fetched again
    }
    return picture;
  }

  /** @param {import("./protocol.js").BlobReference} blob @returns {Promise<Picture>} */
  async #fetch(blob) {
    const bytes = await this.#api.blob(this.#case_id, blob.sha256);
    const subtle = globalThis.crypto?.subtle;
    const genuine = subtle
      ? toHex(new Uint8Array(await subtle.digest("SHA-256", bytes))) === blob.sha256
      : null;
    return { bytes, address: URL.createObjectURL(new Blob([bytes], { type: blob.media_type })), genuine };
  }

  /** The same with our content credentials, made if need be. @param {string} sha256 @returns {Promise<ArrayBuffer>} */
  copy(sha256) {
    return this.#api.credentials(this.#case_id, sha256);
  }

  /** Forgets all of them. */
  release() {
    for (const picture of this.#fetched.values()) {
      picture.then(({ address }) => URL.revokeObjectURL(address)).catch(() => {});
    }
    this.#fetched.clear();
  }
}
