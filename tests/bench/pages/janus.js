// @ts-check
/**
 * Joins a room of Janus with everything cold from the tap, as its own demo does: a session, a handle to publish,
 * and, as soon as the room says who is in it, a second handle and connection to subscribe, both at a time.
 * Whoever is first subscribes when the room says that the other one publishes. The call goes on until the page
 * is closed; picture and sound of the other are played. Who does not publish watches the first who does.
 *
 * @param {{url: string, room: number, camera?: MediaTrackConstraints, publishes?: boolean}} target
 */
async (target) => {
  const KEEP_ALIVE_MS = 25_000; // the session times out after 60 s
  const { bench } = /** @type {any} */ (window);
  const video = target.camera ?? { width: 640, height: 480 };
  const publishes = target.publishes ?? true;
  const stream = publishes ? await navigator.mediaDevices.getUserMedia({ audio: true, video }) : new MediaStream();
  await new Promise((resolve) => setTimeout(resolve, 300)); // the person reads; the camera runs

  bench.tap();
  const socket = new WebSocket(target.url, "janus-protocol");
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  /** @type {Map<string, {resolve: (message: any) => void, reject: (error: Error) => void}>} */
  const waiting = new Map();
  let transactions = 0;
  let session_id;
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    const [newcomer] = message.plugindata?.data?.publishers ?? [];
    if (newcomer && message.transaction === undefined) subscribe(newcomer.id);
    const waiter = waiting.get(message.transaction);
    if (!waiter || message.janus === "ack") return;
    waiting.delete(message.transaction);
    const error = message.error ?? message.plugindata?.data?.error;
    if (error) waiter.reject(new Error(JSON.stringify(error)));
    else waiter.resolve(message);
  });
  /** @returns {Promise<any>} */
  const request = (/** @type {object} */ message) =>
    new Promise((resolve, reject) => {
      const transaction = `t${++transactions}`;
      waiting.set(transaction, { resolve, reject });
      socket.send(JSON.stringify({ ...message, transaction, session_id }));
    });
  const attach = async () => {
    const attached = await request({ janus: "attach", plugin: "janus.plugin.videoroom" });
    const handle_id = attached.data.id;
    return {
      message: (/** @type {object} */ body, /** @type {object} */ jsep) =>
        request({ janus: "message", handle_id, body, jsep }),
      completed: () => {
        request({ janus: "trickle", handle_id, candidate: { completed: true } });
      },
    };
  };

  session_id = (await request({ janus: "create" })).data.id;
  setInterval(() => request({ janus: "keepalive" }), KEEP_ALIVE_MS);
  const publisher = await attach();
  const joined = await publisher.message({ request: "join", ptype: "publisher", room: target.room });
  const [first] = joined.plugindata.data.publishers;
  await Promise.all([publishes && publish(), first && subscribe(first.id)]);

  async function publish() {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: [] });
    for (const track of stream.getTracks()) peer.addTransceiver(track, { direction: "sendonly" });
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    const sent = publisher.message({ request: "publish" }, { type: "offer", sdp: offer.sdp });
    publisher.completed();
    await peer.setRemoteDescription((await sent).jsep);
  }

  async function subscribe(/** @type {number} */ feed) {
    const subscriber = await attach();
    const streams = [{ feed }];
    const offered = await subscriber.message({ request: "join", ptype: "subscriber", room: target.room, streams });
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: [] });
    const screen = document.createElement("video");
    screen.autoplay = true;
    screen.srcObject = new MediaStream();
    document.body?.append(screen);
    peer.addEventListener("track", ({ track }) => /** @type {MediaStream} */ (screen.srcObject).addTrack(track));
    await peer.setRemoteDescription(offered.jsep);
    const answer = await peer.createAnswer();
    await peer.setLocalDescription(answer);
    const sent = subscriber.message({ request: "start" }, { type: "answer", sdp: answer.sdp });
    subscriber.completed();
    await sent;
  }
};
