// @ts-check
/** Two soft notes that say "something new", made here: no file, and nothing where the browser forbids sound. */

const NOTES_HZ = [659.3, 987.8]; // E5 and B5: heard in an office, and no alarm
const NOTE_S = 0.18;
const LOUD = 0.06; // of full scale

/** @type {AudioContext | null} */
let context = null;

/** Sound needs a tap or a key first: call this on one. */
export function allowChime() {
  try {
    context ??= new AudioContext();
    context.resume().catch(() => {});
  } catch {
    // no sound here: the page says it in words, too
  }
}

export function chime() {
  if (context?.state !== "running") return;
  for (const [place, frequency] of NOTES_HZ.entries()) {
    const start = context.currentTime + place * NOTE_S;
    const tone = new OscillatorNode(context, { frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(LOUD, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + NOTE_S);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + NOTE_S);
  }
}
