// @ts-check
/**
 * Joins a Proofcall case with everything cold from the tap: socket, hello, consent, join, and the media beside it.
 * The shape is that of `janus.js`, so that the two differ in what their servers ask for and in nothing else.
 *
 * Who only watches has no camera, and plays what comes.
 *
 * @param {{case_id: string, token: string, watches?: boolean}} link
 */
async (link) => {
  const { bench } = /** @type {any} */ (window);
  const camera = { audio: true, video: { width: 640, height: 480 } };
  const stream = link.watches ? new MediaStream() : await navigator.mediaDevices.getUserMedia(camera);
  await new Promise((resolve) => setTimeout(resolve, 300)); // the person reads; the camera runs

  bench.tap();
  await Promise.all([converse(), connect()]);

  async function converse() {
    const socket = new WebSocket(`ws://${location.host}/api/cases/${link.case_id}/ws`);
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const send = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
    send({ type: "hello", version: 1, token: link.token, after: 0, hash: null });
    await new Promise((resolve, reject) => {
      socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "welcome") {
          send({ type: "command", id: "k1", command: { kind: "consent", statement: "I agree.", language: "en" } });
          send({ type: "command", id: "k2", command: { kind: "join" } });
        }
        if (message.type === "ack" && message.id === "k2") resolve(null);
        if (message.type === "nack") reject(new Error(message.message));
      });
    });
  }

  async function connect() {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: [] });
    for (const track of [...stream.getAudioTracks(), ...stream.getVideoTracks()]) {
      peer.addTransceiver(track, { direction: "sendrecv" });
    }
    if (link.watches) peer.addEventListener("track", ({ track }) => play(track));
    for (const kind of ["audio", "video", "audio", "video"]) peer.addTransceiver(kind, { direction: "recvonly" });
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    const response = await fetch(`/api/cases/${link.case_id}/media`, {
      method: "POST",
      headers: { Authorization: `Bearer ${link.token}`, "Content-Type": "application/sdp" },
      body: offer.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  function play(/** @type {MediaStreamTrack} */ track) {
    const player = document.createElement(/** @type {"audio" | "video"} */ (track.kind));
    player.autoplay = true;
    player.srcObject = new MediaStream([track]);
    document.body?.append(player);
  }
};
