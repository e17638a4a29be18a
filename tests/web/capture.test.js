// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { attachmentOf, MAX_ATTACHMENT_BYTES } from "../../web/capture.js";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test("what was captured is known by its bytes' hash, size and time", async () => {
  const { attachment, bytes } = await attachmentOf(
    new Blob(["abc"], { type: "image/jpeg" }),
    "photo",
    "camera",
  );
  assert.equal(new TextDecoder().decode(bytes), "abc");
  const { captured_at, ...rest } = attachment;
  assert.match(captured_at, TIME);
  assert.ok(Math.abs(Date.parse(captured_at) - Date.now()) < 5000);
  assert.deepEqual(rest, {
    medium: "photo",
    sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", // FIPS 180-2, B.1
    size_bytes: 3,
    media_type: "image/jpeg",
    capture_path: "camera",
  });
});

test("a recording's type is told without its codec, and mere sound is no video", async () => {
  for (const [type, media_type] of [
    ["audio/webm;codecs=opus", "audio/webm"],
    ["audio/mp4; codecs=mp4a.40.2", "audio/mp4"],
    ["video/webm", "audio/webm"],
    ["", "audio/mp4"],
  ]) {
    const { attachment } = await attachmentOf(new Blob(["x"], { type: type ?? "" }), "voice", "microphone");
    assert.equal(attachment.media_type, media_type);
  }
});

test("a file of the album keeps its own time, but none that is still to come", async () => {
  const lastModified = Date.UTC(2026, 10, 22, 14, 3, 22, 123);
  const old = new File(["x"], "a.jpg", { type: "image/jpeg", lastModified });
  assert.equal(
    (await attachmentOf(old, "photo", "album")).attachment.captured_at,
    "2026-11-22T14:03:22.123Z",
  );
  const early = new File(["x"], "a.jpg", { type: "image/jpeg", lastModified: Date.now() + 86_400_000 });
  const { captured_at } = (await attachmentOf(early, "photo", "album")).attachment;
  assert.ok(Date.parse(captured_at) <= Date.now());
});

test("nothing, too much and something else are refused with a reason", async () => {
  const large = new Blob([new Uint8Array(MAX_ATTACHMENT_BYTES + 1)], { type: "image/jpeg" });
  for (const [blob, code] of /** @type {const} */ ([
    [new Blob([], { type: "image/jpeg" }), "empty"],
    [large, "too_large"],
    [new Blob(["x"], { type: "video/mp4" }), "wrong_type"],
    [new Blob(["x"], { type: "text/html" }), "wrong_type"],
  ])) {
    await assert.rejects(attachmentOf(blob, "photo", "album"), { code });
  }
});
