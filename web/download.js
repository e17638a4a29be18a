// @ts-check
/** A file that is too large for memory, taken in as it comes; how far it is, is told on the way. */

const HELD_BYTES = 16 << 20; // in memory before it is handed to the browser, which keeps large blobs on the disk

/**
 * @param {Response} response
 * @param {(share: number) => void} onProgress how much of the whole has come, from 0 to 1
 * @returns {Promise<Blob>}
 */
export async function download(response, onProgress) {
  // A damaged file is left out of a package: then it ends before what was expected.
  const expected_bytes = Number(response.headers.get("X-Expected-Size") ?? 0);
  const type = response.headers.get("Content-Type") ?? "";
  /** @type {Blob[]} */
  const done = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let held = [];
  let held_bytes = 0;
  let come_bytes = 0;
  const reader = (response.body ?? new ReadableStream()).getReader();
  for (;;) {
    const { value, done: ended } = await reader.read();
    if (ended) return new Blob([...done, ...held], { type });
    held.push(value);
    held_bytes += value.length;
    come_bytes += value.length;
    if (held_bytes >= HELD_BYTES) {
      done.push(new Blob(held));
      held = [];
      held_bytes = 0;
    }
    if (expected_bytes > 0) onProgress(Math.min(1, come_bytes / expected_bytes));
  }
}
