// @ts-check
/**
 * Content credentials (C2PA) in words: what those were that a photo brought, and how to have ours. What they say is
 * the word of whoever signed them, and is told as such.
 */

/**
 * As `attachment_stored` has them.
 * @typedef {{
 *   standing: "trusted" | "unknown_signer" | "invalid" | "unreadable", problem: string | null, signer: string | null,
 *   generator: string | null, source_types: readonly string[], signed_at: string | null,
 * }} BroughtCredentials
 */

/** IPTC's digital source types of what a model made, all of it or a part. */
const GENERATED = Object.freeze([
  "trainedAlgorithmicMedia",
  "compositeWithTrainedAlgorithmicMedia",
  "algorithmicMedia",
]);
/** C2PA's status codes of what was changed after it was signed. */
const CHANGED = Object.freeze([
  "assertion.dataHash.mismatch",
  "assertion.boxesHash.mismatch",
  "assertion.bmffHash.mismatch",
  "assertion.hashedURI.mismatch",
  "claimSignature.mismatch",
]);

/** @typedef {typeof en} CredentialWords */

const en = {
  save: "Save with credentials",
  save_hint: "A copy that proves its place in the log to any reader of content credentials (C2PA)",
  saving: "Making the copy…",
  saved: "Copy saved",
  save_failed: "No copy was made. Try again.",
  short: {
    trusted: "Content credentials hold",
    unknown_signer: "Content credentials of an unknown signer",
    invalid: "Content credentials do not hold",
    unreadable: "Content credentials cannot be read",
  },
  generated: "By its own word made with AI",
  trusted: (/** @type {string} */ signer) =>
    `Its content credentials hold, signed by ${signer}, who is trusted here.`,
  unknown_signer: (/** @type {string} */ signer) =>
    `Its content credentials hold, but whoever signed them is not known here. They call themselves ${signer}.`,
  changed: "Its content credentials do not hold: photo or credentials were changed after signing.",
  invalid: (/** @type {string} */ problem) => `Its content credentials do not hold (${problem}).`,
  unreadable: "It has content credentials that cannot be read.",
  nameless: "nobody",
  made_with: (/** @type {string} */ generator) => `Made with, as they say: ${generator}.`,
  signed_at: (/** @type {string} */ time) => `Signed, as an authority says: ${time}.`,
  generated_long: "They say that a model made this picture, or a part of it.",
};

/** @type {CredentialWords} */
const zh = {
  save: "保存带凭证的副本",
  save_hint: "任何内容凭证（C2PA）查验工具都能据此核实它在日志中的位置",
  saving: "正在生成…",
  saved: "副本已保存",
  save_failed: "副本没有生成，请重试。",
  short: {
    trusted: "内容凭证有效",
    unknown_signer: "内容凭证的签署者未知",
    invalid: "内容凭证无效",
    unreadable: "内容凭证无法读取",
  },
  generated: "自称由 AI 生成",
  trusted: (signer) => `内容凭证有效，签署者“${signer}”受本服务信任。`,
  unknown_signer: (signer) => `内容凭证完好，但签署者身份未知，自称“${signer}”。`,
  changed: "内容凭证无效：照片或凭证在签署之后被改动过。",
  invalid: (problem) => `内容凭证无效（${problem}）。`,
  unreadable: "照片带有内容凭证，但无法读取。",
  nameless: "（未署名）",
  made_with: (generator) => `据其自述，制作工具：${generator}。`,
  signed_at: (time) => `据时间戳机构，签署时间：${time}。`,
  generated_long: "据其自述，照片全部或部分由模型生成。",
};

export const CREDENTIAL_WORDS = Object.freeze({ en, zh });

/** @param {BroughtCredentials} brought */
function saysGenerated({ source_types }) {
  return source_types.some((type) => GENERATED.includes(type));
}

/**
 * Beside a photo in the conversation: one line, "" if it brought none.
 * @param {BroughtCredentials | null | undefined} brought @param {CredentialWords} words
 */
export function credentialsNote(brought, words) {
  if (!brought) return "";
  const parts = [words.short[brought.standing], saysGenerated(brought) ? words.generated : ""];
  return parts.filter(Boolean).join(" · ");
}

/**
 * For who has to judge: all that is known, "" if it brought none. What does not hold is not quoted.
 * @param {BroughtCredentials | null | undefined} brought @param {CredentialWords} words
 * @param {(time: string) => string} clock
 */
export function credentialsSentences(brought, words, clock) {
  if (!brought) return "";
  const { standing, problem, generator, signed_at } = brought;
  const signer = brought.signer ?? words.nameless;
  const holds = standing === "trusted" || standing === "unknown_signer";
  const verdict = {
    trusted: words.trusted(signer),
    unknown_signer: words.unknown_signer(signer),
    invalid: CHANGED.includes(problem ?? "") ? words.changed : words.invalid(problem ?? "?"),
    unreadable: words.unreadable,
  }[standing];
  const parts = [
    verdict,
    holds && generator ? words.made_with(generator) : "",
    holds && signed_at ? words.signed_at(clock(signed_at)) : "",
    saysGenerated(brought) ? words.generated_long : "",
  ];
  return parts.filter(Boolean).join(" ");
}

/**
 * Hands bytes to the browser as a file to keep.
 * @param {ArrayBuffer} bytes @param {string} media_type @param {string} name
 */
export function saveFile(bytes, media_type, name) {
  const address = URL.createObjectURL(new Blob([bytes], { type: media_type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // long enough for any browser to have taken it
}
