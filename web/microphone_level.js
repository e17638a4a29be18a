// @ts-check
/** How loud a microphone is, as people see it move. */

const EVERY_MS = 80; // quick enough to follow speech, slow enough for the battery
const WINDOW_SAMPLES = 512;
const LOUD = 64; // half of what a sample can be: speech close by

/**
 * Tells 0 to 1, until told to stop; null while the browser gives no sound (before the first tap).
 * @param {MediaStreamTrack} track
 * @param {(level: number | null) => void} onLevel
 * @returns {() => void} stops it
 */
export function watchLevel(track, onLevel) {
  if (typeof AudioContext === "undefined") return () => {};
  const context = new AudioContext();
  let watched = true;
  const analyser = context.createAnalyser();
  analyser.fftSize = WINDOW_SAMPLES;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Uint8Array(analyser.fftSize);
  const step = () => {
    if (!watched) return;
    analyser.getByteTimeDomainData(samples);
    const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample - 128)), 0);
    onLevel(context.state === "running" ? Math.min(1, loudest / LOUD) : null);
    setTimeout(step, EVERY_MS);
  };
  step();
  return () => {
    if (!watched) return;
    watched = false;
    context.close();
  };
}
