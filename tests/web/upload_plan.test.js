// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { PIECE_BYTES, UploadPlan } from "../../web/upload_plan.js";

/** @typedef {import("../../web/upload_plan.js").Output} Output */

const SIZE = PIECE_BYTES + 1000;

function plan() {
  return new UploadPlan({ random: () => 0 });
}

/** @param {Partial<import("../../web/upload_plan.js").Answered>} answered */
function answer(answered) {
  return { status: 204, location: null, offset: null, code: "", message: "", ...answered };
}

/** @param {Output[]} outputs */
function requests(outputs) {
  return outputs.flatMap((output) =>
    output.kind === "request"
      ? [`${output.method} ${output.sha256} ${output.location} ${output.offset}+${output.length}`]
      : [],
  );
}

/** @param {Output[]} outputs @returns {import("../../web/upload_plan.js").Progress | null | undefined} */
function progress(outputs) {
  const last = outputs.filter((output) => output.kind === "progress").at(-1);
  return last?.kind === "progress" ? last.progress : undefined;
}

/** One file `a` whose command was answered, and the conversation is live. */
function announced() {
  const uploads = plan();
  uploads.handleOnline(0);
  uploads.handleTaken("k1", [{ sha256: "a", size_bytes: SIZE }]);
  const outputs = uploads.handleAnswered({ id: "k1", accepted: true, number: 7 }, 0);
  return { uploads, outputs };
}

test("the bytes follow the answer to their command, piece by piece, and are kept until an entry settles them", () => {
  const { uploads, outputs } = announced();
  assert.deepEqual(outputs[0], { kind: "announced", sha256: "a", number: 7 });
  assert.deepEqual(requests(outputs), ["post a  0+0"]);
  const created = uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: 0 }), 1);
  assert.deepEqual(requests(created), [`patch a /u/1 0+${PIECE_BYTES}`]);
  const piece = uploads.handleAnswer("a", answer({ offset: PIECE_BYTES }), 2);
  assert.deepEqual(progress(piece), { sent_bytes: PIECE_BYTES, size_bytes: SIZE });
  assert.deepEqual(requests(piece), [`patch a /u/1 ${PIECE_BYTES}+1000`]);
  assert.deepEqual(requests(uploads.handleAnswer("a", answer({ offset: SIZE }), 3)), []);
  assert.deepEqual(uploads.handleSettled("a", 9, 4), [
    { kind: "forget", sha256: "a" },
    { kind: "progress", sha256: "a", progress: null },
  ]);
  assert.equal(uploads.nextDeadline, Infinity);
});

test("nothing is asked for while there is no conversation", () => {
  const uploads = plan();
  uploads.handleTaken("k1", [{ sha256: "a", size_bytes: SIZE }]);
  assert.deepEqual(
    requests(uploads.handleAnswered({ id: "k1", accepted: true, number: 7 }, 0)),
    [],
    "the log as of now was not read yet",
  );
  assert.deepEqual(requests(uploads.handleOnline(1)), ["post a  0+0"]);
});

test("the bytes of a refused command go nowhere, and stay here to be given again", () => {
  const uploads = plan();
  uploads.handleTaken("k1", [{ sha256: "a", size_bytes: 5 }]);
  uploads.handleTaken("k2", [{ sha256: "a", size_bytes: 5 }]);
  const refused = /** @type {const} */ ({ accepted: false, number: null });
  assert.deepEqual(uploads.handleAnswered({ id: "k1", ...refused }, 0), []);
  assert.deepEqual(uploads.handleAnswered({ id: "k2", ...refused }, 0), [
    { kind: "progress", sha256: "a", progress: null },
  ]);
});

test("a break is followed by a look at how far it came, and by the rest", () => {
  const { uploads } = announced();
  uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: 0 }), 1);
  assert.deepEqual(uploads.handleAnswer("a", answer({ status: 0 }), 2), []);
  assert.equal(uploads.nextDeadline, 2.125);
  assert.deepEqual(requests(uploads.handleTimeout(2.125)), ["head a /u/1 0+0"]);
  const known = uploads.handleAnswer("a", answer({ status: 200, offset: PIECE_BYTES }), 3);
  assert.deepEqual(requests(known), [`patch a /u/1 ${PIECE_BYTES}+1000`]);
});

test("coming back ends the pause; an upload that the server forgot begins anew", () => {
  const { uploads } = announced();
  uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: 0 }), 1);
  uploads.handleOffline();
  uploads.handleAnswer("a", answer({ status: 0 }), 2);
  assert.equal(uploads.nextDeadline, Infinity, "without a network nothing is tried");
  assert.deepEqual(requests(uploads.handleOnline(60)), ["head a /u/1 0+0"]);
  uploads.handleAnswer("a", answer({ status: 404 }), 61);
  assert.deepEqual(requests(uploads.handleTimeout(uploads.nextDeadline)), ["post a  0+0"]);
});

test("a piece that came damaged, or at another offset, is looked at again", () => {
  for (const status of [460, 409]) {
    const { uploads } = announced();
    uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: 0 }), 1);
    uploads.handleAnswer("a", answer({ status }), 2);
    assert.deepEqual(requests(uploads.handleTimeout(uploads.nextDeadline)), ["head a /u/1 0+0"]);
  }
});

test("what does not pass by itself fails with its reason, and is asked no more", () => {
  for (const [status, code] of /** @type {const} */ ([
    [409, "unknown_attachment"],
    [413, "too_large"],
    [403, "forbidden"],
  ])) {
    const { uploads } = announced();
    const outputs = uploads.handleAnswer("a", answer({ status, code, message: "no" }), 1);
    assert.deepEqual(progress(outputs)?.failed, { code, message: "no" });
    assert.equal(uploads.nextDeadline, Infinity);
    assert.deepEqual(requests(uploads.handleOnline(9)), []);
  }
});

test("a service that goes on failing is not asked for ever", () => {
  for (const status of [500, 460, 404]) {
    const { uploads } = announced();
    uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: 0 }), 1);
    let asked = 0;
    let failed;
    for (; asked < 100 && !failed; asked += 1) {
      const outputs = uploads.handleAnswer("a", answer({ status, code: "broken" }), asked);
      failed = progress(outputs)?.failed;
      uploads.handleTimeout(uploads.nextDeadline);
    }
    assert.ok(asked < 30, `${status}: ${asked}`);
    assert.equal(failed?.code, "broken");
    // A case that is not there is not there for the next service either.
    const again = status === 404 ? [] : ["post a  0+0"];
    assert.deepEqual(requests(uploads.handleOnline(1000)), again, "another service may do better");
  }
});

test("two at once, in the order of their commands", () => {
  const uploads = plan();
  uploads.handleOnline(0);
  for (const name of ["a", "b", "c", "d"])
    uploads.handleTaken(`k${name}`, [{ sha256: name, size_bytes: 10 }]);
  const asked = ["a", "b", "c", "d"].flatMap((name, at) =>
    requests(uploads.handleAnswered({ id: `k${name}`, accepted: true, number: at + 1 }, 0)),
  );
  assert.deepEqual(asked, ["post a  0+0", "post b  0+0"]);
  const next = uploads.handleAnswer("b", answer({ status: 201, location: "/u/b", offset: 10 }), 1);
  assert.deepEqual(requests(next), ["post c  0+0"], "the bytes of b were there already");
});

test("bytes whose entry does not come are asked about, and at last told as failed", () => {
  const { uploads } = announced();
  let asked = 0;
  let outputs = uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: SIZE }), 0);
  while (progress(outputs)?.failed === undefined && asked < 100) {
    outputs = uploads.handleTimeout(uploads.nextDeadline);
    if (requests(outputs).length > 0) {
      assert.deepEqual(requests(outputs), [`post a  ${SIZE}+0`]);
      asked += 1;
      uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: SIZE }), asked * 100);
    }
  }
  assert.ok(asked > 5 && asked < 30);
});

test("what an earlier life of the page announced goes on, unless the log says that it is settled", () => {
  const uploads = plan();
  uploads.handleSettled("a", 9, 0);
  uploads.handleOnline(0);
  assert.deepEqual(uploads.handleRestored({ sha256: "a", size_bytes: 10 }, 7, 0)[0], {
    kind: "forget",
    sha256: "a",
  });
  assert.deepEqual(requests(uploads.handleRestored({ sha256: "b", size_bytes: 10 }, 8, 0)), ["post b  0+0"]);
});

test("the same bytes attached again after they were settled are announced again", () => {
  const { uploads } = announced();
  uploads.handleAnswer("a", answer({ status: 201, location: "/u/1", offset: SIZE }), 1);
  uploads.handleTaken("k2", [{ sha256: "a", size_bytes: SIZE }]);
  assert.deepEqual(uploads.handleSettled("a", 9, 2), [], "k2 still needs them");
  const outputs = uploads.handleAnswered({ id: "k2", accepted: true, number: 10 }, 3);
  assert.deepEqual(requests(outputs), ["post a  0+0"]);
  assert.equal(uploads.handleSettled("a", 11, 4)[0]?.kind, "forget");
});
