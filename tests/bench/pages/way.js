// @ts-check
/**
 * Sends the media of this page through its person's access network: in every remote description the server's
 * first UDP candidate is replaced by the port of a proxy, and all others, TCP ones too, are left out. The
 * benchmark's `accessPort(host, port)` says which port it is. The same for every system.
 */
(() => {
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    /** @param {RTCSessionDescriptionInit} [description] */
    async setRemoteDescription(description) {
      const sdp = description?.sdp && (await throughProxy(description.sdp));
      // @ts-expect-error the two forms of old browsers are not passed on
      return super.setRemoteDescription(sdp === undefined ? description : { type: description.type, sdp });
    }

    /** What is not in the description would be a way round the proxy. */
    async addIceCandidate() {}
  };

  /** @param {string} sdp */
  async function throughProxy(sdp) {
    let kept = "";
    const lines = [];
    for (const line of sdp.split("\r\n")) {
      // RFC 8839 §5.1: foundation component transport priority address port …
      const [, head, transport, priority, host, port, rest] =
        /^(a=candidate:\S+ 1) (\S+) (\S+) (\S+) (\d+)(.*)$/.exec(line) ?? [];
      if (!line.startsWith("a=candidate:")) lines.push(line);
      else if (transport?.toLowerCase() === "udp" && (kept === "" || kept === `${host} ${port}`)) {
        kept = `${host} ${port}`;
        const proxy = await /** @type {any} */ (window).accessPort(host, Number(port));
        lines.push(`${head} ${transport} ${priority} ${host} ${proxy}${rest}`);
      }
    }
    return lines.join("\r\n");
  }
})();
