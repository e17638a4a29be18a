// @ts-check
/**
 * What a restart of ICE exchanges (RFC 9725 section 4.3), as text: pure.
 *
 *     offer ─ fragmentOf ─► PATCH ─► fragment of the server ─ patchAnswer ─► answer for the new offer
 */

const PER_SECTION = /^a=(?:ice-ufrag|ice-pwd|candidate|end-of-candidates)\b/;

/**
 * The credentials of an offer as an SDP fragment; a lite server needs no candidates.
 * @param {string} sdp
 * @returns {string}
 */
export function fragmentOf(sdp) {
  const lines = sdp.split(/\r?\n/);
  const first = (/** @type {string} */ start) => lines.find((line) => line.startsWith(start)) ?? "";
  const [media, mid] = [first("m="), first("a=mid:")];
  return `${[media, mid, first("a=ice-ufrag:"), first("a=ice-pwd:")].join("\r\n")}\r\n`;
}

/**
 * The first answer with the credentials and candidates of a later fragment.
 * @param {string} answer
 * @param {string} fragment
 * @returns {string}
 */
export function patchAnswer(answer, fragment) {
  const added = fragment.split(/\r?\n/).filter((line) => PER_SECTION.test(line));
  const [session = "", ...sections] = answer.split(/(?=^m=)/m);
  const patched = sections.map((section) => {
    const lines = section.split(/\r?\n/).filter((line) => line !== "");
    if (!lines.some((line) => line.startsWith("a=ice-ufrag:"))) return section; // a rejected section
    return `${[...lines.filter((line) => !PER_SECTION.test(line)), ...added].join("\r\n")}\r\n`;
  });
  return session + patched.join("");
}

/**
 * The relays that `Link` headers name (RFC 9725 section 4.6); what is no ice-server is passed over.
 * @param {string | null} header all `Link` headers, joined with commas as fetch() does
 * @returns {RTCIceServer[]}
 */
export function iceServersOf(header) {
  /** @type {RTCIceServer[]} */
  const servers = [];
  for (const [, urls = "", rest = ""] of (header ?? "").matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+="[^"]*")*)/g)) {
    /** @type {Record<string, string>} */
    const parameters = {};
    for (const [, name = "", value = ""] of rest.matchAll(/([\w-]+)="([^"]*)"/g)) parameters[name] = value;
    if (parameters.rel !== "ice-server") continue;
    const { username, credential } = parameters;
    servers.push(
      username !== undefined && credential !== undefined ? { urls, username, credential } : { urls },
    );
  }
  return servers;
}
