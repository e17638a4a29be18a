// @ts-check
/** The browser's proof against vectors of the service's own evidence code (evidence_vectors.json). */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  canonicalBytes,
  canonicalJson,
  commitmentOf,
  entryHash,
  fromHex,
  leafHash,
  MalformedEvidence,
  parseCheckpoint,
  parseVkey,
  proofSteps,
  rootFromInclusionProof,
  signatureHolds,
  toHex,
} from "../../web/evidence.js";

const vectors = JSON.parse(await readFile(new URL("evidence_vectors.json", import.meta.url), "utf8"));

/** @param {{[name: string]: any}} [changes] */
function sources(changes = {}) {
  return {
    proof: async (/** @type {number} */ number) => ({
      leaf_index: vectors.entries[number - 1].leaf_index,
      tree_size: vectors.tree_size,
      hashes: vectors.proofs[number - 1],
      checkpoint: vectors.checkpoint,
      vkey: vectors.vkey,
      ...changes,
    }),
    blob: async () => changes.picture ?? fromHex(vectors.picture_hex).buffer,
    pinnedVkey: (/** @type {string} */ shown) => changes.pinned ?? shown,
  };
}

/** @param {any} entry @param {any[]} [entries] @param {any} [from] */
async function verdicts(entry, entries = vectors.entries, from = sources()) {
  /** @type {Record<string, string>} */
  const states = {};
  for await (const { step, state } of proofSteps(entry, entries, from)) states[step] = state;
  return states;
}

const ALL = { envelope: "passed", chain: "passed", body: "passed", inclusion: "passed", signature: "passed" };

test("canonical JSON is the service's, byte by byte", () => {
  for (const { value, text } of vectors.canonical) {
    assert.equal(canonicalJson(value), text);
    assert.deepEqual(canonicalBytes(value), new Uint8Array(new TextEncoder().encode(text)));
  }
});

test("what has no canonical form is refused", () => {
  for (const value of [0.5, 2 ** 53, Number.NaN, "\ud800", { a: undefined }, 10n, { "\udc00": 1 }]) {
    assert.throws(() => canonicalJson(value), MalformedEvidence);
  }
});

test("hashes and commitments are the service's", async () => {
  for (const entry of vectors.entries) {
    assert.equal(await entryHash(entry.envelope), entry.hash);
    assert.equal(await commitmentOf(entry.salt, entry.body), entry.envelope.commitment);
  }
});

test("every leaf of every tree of 1 to 17 leads to its root, and to no other", async () => {
  for (const { leaves, root, proofs } of vectors.trees) {
    for (const [leaf_index, proof] of proofs.entries()) {
      const way = {
        leaf_hash: fromHex(leaves[leaf_index]),
        leaf_index,
        tree_size: leaves.length,
        hashes: proof.map(fromHex),
      };
      assert.equal(toHex(await rootFromInclusionProof(way)), root);
      await assert.rejects(
        rootFromInclusionProof({ ...way, hashes: [...way.hashes, way.leaf_hash] }),
        MalformedEvidence,
      );
      if (leaf_index + 1 < leaves.length) {
        const moved = await rootFromInclusionProof({ ...way, leaf_index: leaf_index + 1 }).then(
          toHex,
          () => "",
        );
        assert.notEqual(moved, root);
      }
    }
  }
});

test("a leaf outside its tree is refused", async () => {
  const leaf_hash = new Uint8Array(32);
  for (const leaf_index of [-1, 1, 0.5]) {
    await assert.rejects(
      rootFromInclusionProof({ leaf_hash, leaf_index, tree_size: 1, hashes: [] }),
      MalformedEvidence,
    );
  }
});

test("a checkpoint's signature holds under its own key and no other", async () => {
  const checkpoint = parseCheckpoint(vectors.checkpoint);
  assert.equal(checkpoint.tree_size, vectors.tree_size);
  assert.equal(toHex(checkpoint.root), vectors.root);
  assert.equal(await signatureHolds(checkpoint, vectors.vkey), true);
  const [signature] = checkpoint.signatures;
  assert.ok(signature);
  const flipped = signature.signature.with(5, (signature.signature[5] ?? 0) ^ 1);
  const forged = { ...checkpoint, signatures: [{ ...signature, signature: new Uint8Array(flipped) }] };
  assert.equal(await signatureHolds(forged, vectors.vkey), false);
  assert.equal(await signatureHolds({ ...checkpoint, text: `${checkpoint.text} ` }, vectors.vkey), false);
  assert.equal(await signatureHolds({ ...checkpoint, origin: "elsewhere/log" }, vectors.vkey), false);
});

test("what is not a checkpoint or a key is refused by its own error", () => {
  const [text, signature] = vectors.checkpoint.split("\n\n");
  for (const note of [
    "",
    "\n\n",
    text,
    `${text}\n\nno dash\n`,
    `${text}\nextra\n\n${signature}`,
    "a\n01\nAA==\n\n",
  ]) {
    assert.throws(() => parseCheckpoint(note), MalformedEvidence, JSON.stringify(note));
  }
  for (const vkey of ["", "a+b+c", "name+00000000+AAAA", vectors.vkey.replace("+", "-")]) {
    assert.throws(() => parseVkey(vkey), MalformedEvidence, vkey);
  }
});

test("each entry of the case passes every step, and a picture one more", async () => {
  for (const entry of vectors.entries) {
    const expected = entry.body.blob ? { ...ALL, blob: "passed" } : ALL;
    assert.deepEqual(await verdicts(entry), expected);
  }
});

test("steps are told one by one, running before decided", async () => {
  const told = [];
  for await (const { step, state } of proofSteps(vectors.entries[0], vectors.entries, sources())) {
    told.push(`${step} ${state}`);
  }
  assert.deepEqual(
    told,
    Object.keys(ALL).flatMap((step) => [`${step} running`, `${step} passed`]),
  );
});

test("what was changed fails in its own step", async () => {
  const [first, second, frame] = vectors.entries;
  const later = { ...second, envelope: { ...second.envelope, recorded_at: "2026-11-22T15:00:00.000Z" } };
  const changed = [first, later, frame];
  assert.equal((await verdicts(later, changed)).envelope, "failed");
  assert.equal((await verdicts(later, changed)).inclusion, "failed");
  assert.equal((await verdicts(frame, changed)).chain, "failed");
  assert.equal((await verdicts(frame, [first, frame])).chain, "failed");
  assert.equal((await verdicts({ ...second, body: { text: "other words" } })).body, "failed");
  assert.equal((await verdicts({ ...second, salt: "00".repeat(32) })).body, "failed");
  const otherPlace = sources({ leaf_index: second.leaf_index + 1 });
  assert.equal((await verdicts(second, vectors.entries, otherPlace)).inclusion, "failed");
  const otherSize = sources({ tree_size: vectors.tree_size + 1 });
  assert.equal((await verdicts(second, vectors.entries, otherSize)).inclusion, "failed");
  const otherKey = sources({ pinned: "proofcall.local/log+00000000+AAAA" });
  assert.equal((await verdicts(second, vectors.entries, otherKey)).signature, "failed");
  const otherPicture = sources({ picture: new ArrayBuffer(10) });
  assert.equal((await verdicts(frame, vectors.entries, otherPicture)).blob, "failed");
});

test("a check that cannot be made is named, not skipped", async () => {
  const [, second, frame] = vectors.entries;
  const withheld = { ...second, body: null, salt: null };
  assert.deepEqual(await verdicts(withheld), { ...ALL, body: "unavailable" });
  const gone = {
    ...sources(),
    proof: async () => {
      throw new Error("offline");
    },
    blob: async () => {
      throw new Error("offline");
    },
  };
  assert.deepEqual(await verdicts(frame, vectors.entries, gone), {
    ...ALL,
    inclusion: "unavailable",
    signature: "unavailable",
    blob: "unavailable",
  });
});

test("the leaf is hashed apart from the entry", async () => {
  const [entry] = vectors.entries;
  assert.notEqual(toHex(await leafHash(entry.envelope)), entry.hash);
});
