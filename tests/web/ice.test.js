// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { fragmentOf, iceServersOf, patchAnswer } from "../../web/ice.js";
import { markOf, Pulse } from "../../web/pulse.js";

const OFFER = [
  "v=0",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111",
  "a=ice-ufrag:newU",
  "a=ice-pwd:newPassword",
  "a=candidate:1 1 udp 1 192.0.2.1 1 typ host",
  "a=mid:0",
  "m=video 9 UDP/TLS/RTP/SAVPF 96",
  "a=ice-ufrag:newU",
  "",
].join("\r\n");
const ANSWER = [
  "v=0",
  "a=ice-lite",
  "m=audio 1 UDP/TLS/RTP/SAVPF 111",
  "a=ice-ufrag:old",
  "a=ice-pwd:old",
  "a=fingerprint:sha-256 AB",
  "a=candidate:1 1 udp 2 192.0.2.9 1 typ host",
  "a=end-of-candidates",
  "m=video 0 UDP/TLS/RTP/SAVPF 96",
  "a=mid:1",
  "m=audio 1 UDP/TLS/RTP/SAVPF 111",
  "a=ice-ufrag:old",
  "",
].join("\r\n");
const FRAGMENT = [
  "a=ice-lite",
  "m=audio 9 UDP/TLS/RTP/SAVPF 0",
  "a=mid:0",
  "a=ice-ufrag:fresh",
  "a=ice-pwd:fresh",
  "a=candidate:1 1 udp 2 192.0.2.9 1 typ host",
  "a=candidate:2 1 tcp 1 192.0.2.9 1 typ host tcptype passive",
  "a=end-of-candidates",
  "",
].join("\r\n");

test("a fragment holds the new credentials and nothing else of the offer", () => {
  assert.equal(
    fragmentOf(OFFER),
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:newU\r\na=ice-pwd:newPassword\r\n",
  );
});

test("a patched answer is the old one with the new credentials and candidates, where there were some", () => {
  const fresh = FRAGMENT.split("\r\n").slice(3, -1);
  assert.deepEqual(patchAnswer(ANSWER, FRAGMENT).split("\r\n"), [
    "v=0",
    "a=ice-lite",
    "m=audio 1 UDP/TLS/RTP/SAVPF 111",
    "a=fingerprint:sha-256 AB",
    ...fresh,
    "m=video 0 UDP/TLS/RTP/SAVPF 96",
    "a=mid:1",
    "m=audio 1 UDP/TLS/RTP/SAVPF 111",
    ...fresh,
    "",
  ]);
});

test("the relays of Link headers are read as RFC 9725 writes them", () => {
  const header =
    '<stun:stun.example.net>; rel="ice-server", ' +
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="17:a"; credential="my,Pass=" ;' +
    ' credential-type="password", </style.css>; rel="preload"';
  assert.deepEqual(iceServersOf(header), [
    { urls: "stun:stun.example.net" },
    { urls: "turn:turn.example.net?transport=udp", username: "17:a", credential: "my,Pass=" },
  ]);
  assert.deepEqual(iceServersOf(null), []);
});

/** @param {Pulse} pulse @param {number} from @param {number} to @param {number} every_s of a sign of life */
function beat(pulse, from, to, every_s) {
  let now = from;
  for (; now < to; now += 0.5) pulse.handleReading(Math.floor(now / every_s) + 1, now);
  return now;
}

/** @param {number} every_s */
function silenceAfter(every_s) {
  const pulse = new Pulse();
  const ceased = beat(pulse, 0, 30, every_s);
  for (let now = ceased; now < ceased + 20; now += 0.5) {
    if (pulse.handleReading(-1, now) === "silent") return now - ceased;
  }
  return Infinity;
}

test("silence is told within three seconds where something came every second at least", () => {
  assert.equal(silenceAfter(0.02), 1.5);
  assert.equal(silenceAfter(1), 2);
});

test("who hears nothing but the answers to checks is given the time of two of them", () => {
  const pulse = new Pulse();
  for (let now = 0; now < 60; now += 0.5) {
    assert.notEqual(pulse.handleReading(Math.floor(now / 3), now), "silent");
  }
});

test("a page that slept has heard nothing and knows nothing", () => {
  const pulse = new Pulse();
  beat(pulse, 0, 10, 0.1);
  assert.equal(pulse.handleReading(-1, 10), "heard");
  assert.equal(pulse.handleReading(-1, 60), "quiet");
  assert.equal(pulse.handleReading(-1, 60.5), "quiet");
});

test("a mark counts bytes, answers to checks and packets", () => {
  const report = [
    { type: "transport", bytesReceived: 1 },
    { type: "candidate-pair", bytesReceived: 10, responsesReceived: 100 },
    { type: "candidate-pair" },
    { type: "inbound-rtp", packetsReceived: 1000 },
    { type: "codec" },
  ];
  assert.equal(markOf(report), 1111);
});
