// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Synchronisation } from "../../web/synchronisation.js";

/** @param {any[]} [outbox] */
function machine(outbox = []) {
  return new Synchronisation({ token: "t", random: () => 0, outbox });
}

/** @param {number} number @param {string} [previous_hash] */
function entry(number, previous_hash = `h${number - 1}`) {
  const envelope = {
    kind: "text",
    case_id: "c_1",
    number,
    previous_hash,
    role: "customer",
    actor_id: "l_1",
    recorded_at: "2026-11-22T14:03:22.123Z",
    commitment: "",
  };
  return JSON.stringify({
    type: "entry",
    entry: { envelope, body: null, salt: null, hash: `h${number}`, leaf_index: number },
  });
}

const WELCOME = JSON.stringify({
  type: "welcome",
  case: { case_id: "c_1", waybill: "SF1", language: "zh", time_zone: "Asia/Shanghai", state: "open" },
  you: { actor_id: "l_1", role: "customer", name: "L", session_id: "s_1" },
  people: [],
  number: 2,
});
const SYNCED = '{"type":"synced","number":2}';
const TEXT = /** @type {const} */ ({ kind: "text", text: "hello" });

/** @param {any[]} outputs */
function sent(outputs) {
  return outputs.filter(({ kind }) => kind === "send").map(({ text }) => JSON.parse(text));
}

/** @param {Synchronisation} synchronisation @param {number} now */
function connect(synchronisation, now) {
  synchronisation.handleStart(now);
  const hello = sent(synchronisation.handleOpen(now));
  const rest = synchronisation.handleText(WELCOME, now);
  return { hello: hello[0], rest };
}

test("hello names the last entry held and its hash, nothing at first", () => {
  const synchronisation = machine();
  assert.deepEqual(connect(synchronisation, 0).hello, {
    type: "hello",
    version: 1,
    token: "t",
    after: 0,
    hash: null,
    clock: true,
  });
  synchronisation.handleText(entry(1), 0);
  synchronisation.handleText(entry(2), 0);
  synchronisation.handleText(SYNCED, 0);
  synchronisation.handleClosed(1006, 1);
  assert.deepEqual(connect(synchronisation, 2).hello, {
    type: "hello",
    version: 1,
    token: "t",
    after: 2,
    hash: "h2",
    clock: true,
  });
});

test("the service is told the time when it asks, before any command that waits", () => {
  const synchronisation = machine();
  synchronisation.handleCommand({ id: "k1", command: TEXT }, 0);
  connect(synchronisation, 0);
  const probe = JSON.stringify({ type: "clock_probe", probe: 1 });
  assert.deepEqual(synchronisation.handleText(probe, 0), [{ kind: "read_clock", probe: 1 }]);
});

test("a command waits for synced, and is sent again with its id until it is answered", () => {
  const synchronisation = machine();
  assert.deepEqual(sent(synchronisation.handleCommand({ id: "k1", command: TEXT }, 0)), []);
  connect(synchronisation, 0);
  const message = { type: "command", id: "k1", command: TEXT };
  assert.deepEqual(sent(synchronisation.handleText(SYNCED, 0)), [message]);
  synchronisation.handleClosed(1006, 1);
  connect(synchronisation, 2);
  assert.deepEqual(sent(synchronisation.handleText(SYNCED, 2)), [message]);
  const outputs = synchronisation.handleText('{"type":"ack","id":"k1","number":3}', 2);
  assert.deepEqual(outputs[1], { kind: "answered", answer: { id: "k1", accepted: true, number: 3 } });
  synchronisation.handleClosed(1006, 3);
  connect(synchronisation, 4);
  assert.deepEqual(sent(synchronisation.handleText(SYNCED, 4)), []);
});

test("commands of an earlier life of the page go first", () => {
  const synchronisation = machine([{ id: "old", command: TEXT }]);
  synchronisation.handleCommand({ id: "new", command: TEXT }, 0);
  connect(synchronisation, 0);
  assert.deepEqual(
    sent(synchronisation.handleText(SYNCED, 0)).map(({ id }) => id),
    ["old", "new"],
  );
});

test("nothing goes out before it is known what an earlier life of the page has left", () => {
  const synchronisation = new Synchronisation({ token: "t", random: () => 0, outbox: null });
  connect(synchronisation, 0);
  assert.deepEqual(sent(synchronisation.handleText(SYNCED, 0)), []);
  assert.deepEqual(sent(synchronisation.handleCommand({ id: "new", command: TEXT }, 0)), []);
  assert.deepEqual(
    sent(synchronisation.handleRestored([{ id: "old", command: TEXT }])).map(({ id }) => id),
    ["old", "new"],
  );
  assert.deepEqual(
    sent(synchronisation.handleRestored([{ id: "of another page", command: TEXT }])).map(({ id }) => id),
    ["of another page"],
  );
});

test("on one connection a command goes out once, however often the server says that all is there", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  synchronisation.handleText(SYNCED, 0);
  for (const id of ["k1", "k2"])
    assert.equal(sent(synchronisation.handleCommand({ id, command: TEXT }, 0)).length, 1);
  assert.deepEqual(sent(synchronisation.handleText(SYNCED, 1)), []);
  synchronisation.handleText('{"type":"nack","id":"k1","code":"append_failed","message":""}', 1);
  assert.deepEqual(sent(synchronisation.handleCommand({ id: "k3", command: TEXT }, 1)), []);
  assert.deepEqual(
    sent(synchronisation.handleTimeout(2)).map(({ id }) => id),
    ["k1", "k3"],
    "k2 is on its way",
  );
});

test("a service that could not write is asked again with the same id", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  synchronisation.handleText(SYNCED, 0);
  synchronisation.handleCommand({ id: "k1", command: TEXT }, 0);
  const nack = '{"type":"nack","id":"k1","code":"log_overloaded","message":""}';
  assert.deepEqual(synchronisation.handleText(nack, 1), []);
  assert.equal(synchronisation.nextDeadline, 2);
  assert.deepEqual(
    sent(synchronisation.handleTimeout(2)).map(({ id }) => id),
    ["k1"],
  );
});

test("any other refusal is final", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  synchronisation.handleText(SYNCED, 0);
  synchronisation.handleCommand({ id: "k1", command: TEXT }, 0);
  synchronisation.handleText('{"type":"nack","id":"k1","code":"case_not_open","message":""}', 1);
  assert.deepEqual(synchronisation.outbox, []);
});

test("an entry is delivered once, and a hole or a broken chain is never let through", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  assert.equal(synchronisation.handleText(entry(1), 0).length, 1);
  assert.deepEqual(synchronisation.handleText(entry(1), 0), []);
  assert.deepEqual(
    synchronisation.handleText(entry(3), 0).map(({ kind }) => kind),
    ["disconnect", "offline"],
  );
  const other = machine();
  connect(other, 0);
  other.handleText(entry(1), 0);
  assert.deepEqual(
    other.handleText(entry(2, "something else"), 0).map(({ kind }) => kind),
    ["disconnect", "offline"],
  );
});

test("hash_mismatch forgets everything, too_slow keeps it", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  synchronisation.handleText(entry(1), 0);
  synchronisation.handleText('{"type":"resync","code":"too_slow","message":""}', 0);
  assert.equal(connect(synchronisation, 1).hello.after, 1);
  const kinds = synchronisation
    .handleText('{"type":"resync","code":"hash_mismatch","message":""}', 1)
    .map(({ kind }) => kind);
  assert.deepEqual(kinds, ["deliver", "forget", "disconnect", "offline"]);
  assert.deepEqual(connect(synchronisation, 2).hello.hash, null);
});

test("coming back waits longer each time, and starts anew after synced", () => {
  const synchronisation = machine();
  const waits = [];
  let now = 0;
  for (let round = 0; round < 8; round += 1) {
    synchronisation.handleStart(now);
    synchronisation.handleClosed(1006, now);
    waits.push(synchronisation.nextDeadline - now);
    now = synchronisation.nextDeadline;
  }
  assert.deepEqual(waits, [0.125, 0.25, 0.5, 1, 2, 4, 4, 4]);
  connect(synchronisation, now);
  synchronisation.handleText(SYNCED, now);
  synchronisation.handleClosed(1006, now);
  assert.equal(synchronisation.nextDeadline - now, 0.125);
});

test("a quiet line is asked, and given up when it does not answer", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  synchronisation.handleText(SYNCED, 0);
  assert.deepEqual(synchronisation.handleTimeout(9.9), []);
  assert.deepEqual(sent(synchronisation.handleTimeout(10)), [{ type: "ping" }]);
  assert.deepEqual(synchronisation.handleText('{"type":"pong"}', 11), []);
  assert.deepEqual(sent(synchronisation.handleTimeout(21)), [{ type: "ping" }]);
  assert.deepEqual(
    synchronisation.handleTimeout(25).map(({ kind }) => kind),
    ["disconnect", "offline"],
  );
});

test("the network coming back ends the waiting and asks a live line at once", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  synchronisation.handleText(SYNCED, 0);
  assert.deepEqual(sent(synchronisation.handleWake(3)), [{ type: "ping" }]);
  synchronisation.handleClosed(1006, 4);
  assert.deepEqual(synchronisation.handleWake(4), [{ kind: "connect" }]);
});

test("revoked, replaced and a bad token end it; the person may take a replaced link back", () => {
  for (const [code, reason] of /** @type {const} */ ([
    [4401, "bad_link"],
    [4410, "revoked"],
    [4411, "replaced"],
    [4414, "erased"],
    [4400, "outdated"],
  ])) {
    const synchronisation = machine();
    connect(synchronisation, 0);
    assert.deepEqual(synchronisation.handleClosed(code, 1), [{ kind: "closed", reason }]);
    assert.equal(synchronisation.nextDeadline, Infinity);
    assert.deepEqual(synchronisation.handleWake(2), []);
  }
  const synchronisation = machine();
  connect(synchronisation, 0);
  synchronisation.handleClosed(4411, 1);
  assert.deepEqual(synchronisation.handleStart(2), [{ kind: "connect" }]);
});

test("malformed text from the server ends the connection, not the page", () => {
  const synchronisation = machine();
  connect(synchronisation, 0);
  assert.deepEqual(
    synchronisation.handleText("?", 0).map(({ kind }) => kind),
    ["disconnect", "offline"],
  );
});

test("signals are dropped while offline", () => {
  const synchronisation = machine();
  assert.deepEqual(
    synchronisation.handleSignal({ kind: "muted", audio: true, video: false, hidden: false }),
    [],
  );
});
