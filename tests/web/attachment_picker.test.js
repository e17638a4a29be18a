// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { captureComplaint, pathOf } from "../../web/attachment_picker.js";
import { IllegalCapture } from "../../web/capture.js";
import { TALK_WORDS } from "../../web/talk_words.js";

const PRESSED_AT = Date.parse("2026-11-28T08:00:00.000Z");

test("a photo that is older than the press on the camera button was not taken by it", () => {
  assert.equal(pathOf({ lastModified: PRESSED_AT + 9000 }, PRESSED_AT), "camera");
  assert.equal(pathOf({ lastModified: PRESSED_AT - 1500 }, PRESSED_AT), "camera"); // coarse file times
  assert.equal(pathOf({ lastModified: PRESSED_AT - 60_000 }, PRESSED_AT), "album");
});

test("whatever cannot be attached is told in the reader's language, with what to do", () => {
  for (const words of Object.values(TALK_WORDS)) {
    const large = new IllegalCapture("too_large", "It is larger than 24 MB. Choose a smaller one.");
    assert.equal(captureComplaint(large, words), words.capture.too_large);
    assert.equal(captureComplaint(new Error("?"), words), words.capture.other);
  }
});
