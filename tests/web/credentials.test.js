// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { CREDENTIAL_WORDS, credentialsNote, credentialsSentences } from "../../web/credentials.js";

const { en, zh } = CREDENTIAL_WORDS;
const clock = (/** @type {string} */ time) => time.slice(0, 10);

/** @param {Partial<import("../../web/credentials.js").BroughtCredentials>} other */
function brought(other) {
  return /** @type {import("../../web/credentials.js").BroughtCredentials} */ ({
    standing: "unknown_signer",
    problem: null,
    signer: "Example Cameras",
    generator: "Camera 9",
    source_types: ["digitalCapture"],
    signed_at: "2026-11-22T14:03:20.000Z",
    ...other,
  });
}

test("a photo without content credentials is not talked of, in older entries neither", () => {
  for (const none of [null, undefined]) {
    assert.equal(credentialsNote(none, en), "");
    assert.equal(credentialsSentences(none, en, clock), "");
  }
});

test("what holds is told with who says so, and that they are not known where they are not", () => {
  const said = credentialsSentences(brought({}), en, clock);
  assert.match(
    said,
    /hold, but whoever signed them is not known here.*Example Cameras.*Camera 9.*2026-11-22/,
  );
  assert.doesNotMatch(said, /model/);
  assert.match(
    credentialsSentences(brought({ standing: "trusted" }), en, clock),
    /signed by Example Cameras/,
  );
  assert.match(credentialsSentences(brought({ signer: null }), zh, clock), /未署名/);
});

test("what does not hold quotes nobody, and says whether something was changed", () => {
  const changed = brought({ standing: "invalid", problem: "assertion.dataHash.mismatch" });
  for (const words of [en, zh]) {
    const said = credentialsSentences(changed, words, clock);
    assert.equal(said, words.changed);
    assert.doesNotMatch(said, /Example|Camera 9/);
  }
  const expired = brought({ standing: "invalid", problem: "signingCredential.expired" });
  assert.match(credentialsSentences(expired, en, clock), /do not hold \(signingCredential\.expired\)/);
  assert.equal(credentialsNote(changed, en), "Content credentials do not hold");
});

test("a picture that says a model made it is called that, whoever signed it", () => {
  for (const standing of /** @type {const} */ (["trusted", "unknown_signer", "invalid", "unreadable"])) {
    for (const type of ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]) {
      const generated = brought({ standing, source_types: ["digitalCapture", type] });
      assert.match(credentialsNote(generated, en), /made with AI/);
      assert.match(credentialsNote(generated, zh), /AI 生成/);
      assert.match(credentialsSentences(generated, zh, clock), /由模型生成/);
    }
  }
});
