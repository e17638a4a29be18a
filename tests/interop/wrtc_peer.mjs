// libwebrtc in Node as a participant: sends one plain colour and a tone, and reports what comes in.
//
//   node wrtc_peer.mjs <media URL> <token> <red> <green> <blue>
//
// One JSON object a line goes to standard output, five times a second; the end of standard input ends it.

import { createRequire } from "node:module";

const wrtc = createRequire(new URL("../../web/package.json", import.meta.url))("@roamhq/wrtc");
const { RTCAudioSink, RTCAudioSource, RTCVideoSink, RTCVideoSource, i420ToRgba, rgbaToI420 } = wrtc.nonstandard;

const [url, token, ...colour] = process.argv.slice(2);
const WIDTH = 320;
const HEIGHT = 240;
const SAMPLE_RATE = 48000;
const SAMPLES = SAMPLE_RATE / 100; // libwebrtc takes sound in pieces of 10 ms
const TONE_HZ = 440;
const seen = { pictures: 0, colour: null, sound: 0 };

const connection = new wrtc.RTCPeerConnection({ iceServers: [] });
const video = new RTCVideoSource();
const audio = new RTCAudioSource();
connection.addTransceiver(audio.createTrack(), { direction: "sendonly" });
connection.addTransceiver(video.createTrack(), { direction: "sendonly" });
connection.addTransceiver("audio", { direction: "recvonly" });
connection.addTransceiver("video", { direction: "recvonly" });

connection.ontrack = ({ track }) => {
  if (track.kind === "video") {
    new RTCVideoSink(track).onframe = ({ frame }) => {
      const rgba = { width: frame.width, height: frame.height, data: new Uint8ClampedArray(4 * frame.width * frame.height) };
      i420ToRgba(frame, rgba);
      const at = 4 * (Math.floor((frame.height * 3) / 4) * frame.width + Math.floor((frame.width * 3) / 4));
      seen.pictures += 1;
      seen.colour = [...rgba.data.subarray(at, at + 3)];
    };
  } else {
    new RTCAudioSink(track).ondata = ({ samples }) => {
      seen.sound = samples.reduce((sum, sample) => sum + (sample / 32768) ** 2, 0) / samples.length;
    };
  }
};

const rgba = { width: WIDTH, height: HEIGHT, data: new Uint8ClampedArray(4 * WIDTH * HEIGHT) };
for (let at = 0; at < rgba.data.length; at += 4) rgba.data.set([...colour.map(Number), 255], at);
const picture = { width: WIDTH, height: HEIGHT, data: new Uint8ClampedArray((3 * WIDTH * HEIGHT) / 2) };
rgbaToI420(rgba, picture);

let pieces = 0;
function play() {
  const samples = new Int16Array(SAMPLES);
  for (let index = 0; index < SAMPLES; index += 1) {
    samples[index] = 8192 * Math.sin((2 * Math.PI * TONE_HZ * (pieces * SAMPLES + index)) / SAMPLE_RATE);
  }
  pieces += 1;
  audio.onData({ samples, sampleRate: SAMPLE_RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: SAMPLES });
}

await connection.setLocalDescription(await connection.createOffer());
const answer = await fetch(url, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" },
  body: connection.localDescription.sdp,
});
if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });

const began = performance.now();
const timers = [
  setInterval(() => video.onFrame(picture), 1000 / 30),
  setInterval(() => {
    while (pieces < (performance.now() - began) / 10) play();
  }, 10),
  setInterval(() => console.log(JSON.stringify({ ...seen, state: connection.connectionState })), 200),
];
process.stdin.resume();
process.stdin.on("end", () => {
  timers.forEach(clearInterval);
  connection.close();
  process.exit(0);
});
