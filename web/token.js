// @ts-check
/**
 * The link's token. It travels in the fragment, which no server and no log of a proxy ever sees; it stays there,
 * so that back, reload and bookmarks work, and in sessionStorage for pages that lose their fragment on the way.
 */

/** @typedef {{token: string, type: "link" | "desk", case_id: string | null, actor_id: string, role: string, name: string | null, expires_at: number}} Link */

/**
 * What the token says of itself. The server checks its signature; the page only needs to know where to knock.
 * @param {string} token
 * @returns {Link | null} null for anything that is not a token of ours
 */
export function readToken(token) {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const bytes = Uint8Array.from(atob((parts[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")), (c) =>
      c.charCodeAt(0),
    );
    const claims = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (claims.typ !== "link" && claims.typ !== "desk") return null;
    if (claims.typ === "link" && !/^c_[a-z0-9]{1,64}$/.test(claims.case)) return null;
    return {
      token,
      type: claims.typ,
      case_id: claims.typ === "link" ? claims.case : null,
      actor_id: String(claims.sub ?? ""),
      role: String(claims.role ?? ""),
      name: typeof claims.name === "string" ? claims.name : null,
      expires_at: Number(claims.exp ?? 0),
    };
  } catch {
    return null;
  }
}

const KEY = "proofcall.token";

/** @returns {Link | null} the link that this page was opened with */
export function linkOfPage() {
  const fragment = location.hash.slice(1);
  const key = `${KEY}.${location.pathname}`;
  const link = readToken(fragment !== "" ? fragment : (remembered(key) ?? ""));
  if (link) remember(key, link.token);
  return link;
}

// A browser may forbid storage altogether: then the page forgets, and works.

/** @param {string} key */
export function remembered(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string | null} value */
export function remember(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // nothing to lose but comfort
  }
}
