// @ts-check
/**
 * What the desk's two roles may do in an open case: `LEGAL` of signaling/case.py, as far as the desk offers it. A test
 * holds the two together. Pure.
 */

/** @type {Readonly<Record<string, readonly string[]>>} */
export const MAY = Object.freeze({
  consent: ["qa", "dispatch"],
  join: ["qa", "dispatch"],
  text: ["qa", "dispatch"],
  phrase: ["qa", "dispatch"],
  mark: ["qa", "dispatch"],
  take_frame: ["qa"], // without being in the call oneself
  end_case: ["qa"],
  record_export: ["qa"],
  record_playback: ["qa"],
  announce: ["dispatch"],
  answer_change: ["dispatch"],
  take_exception: ["qa", "dispatch"],
  decide_exception: ["qa", "dispatch"],
  close_exception: ["qa", "dispatch"],
});

/** @param {string} command @param {string | undefined} role */
export function may(command, role) {
  return (MAY[command] ?? []).includes(role ?? "");
}
