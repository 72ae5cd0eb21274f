import type { Check } from "./check.ts";

/** Of what a login prints, how much is shown. */
const SHOWN_NOISE = 120;

/** What a login shell that runs commands prints before them. */
export function describeNoise(noise: string): Check {
  if (noise === "")
    return { check: "shell", outcome: "ok", text: "the login shell prints nothing and runs commands" };
  const shown = noise.length > SHOWN_NOISE ? `${noise.slice(0, SHOWN_NOISE)}…` : noise;
  return {
    ...{ check: "shell", outcome: "warning" },
    text: `the login shell prints ${noise.length} characters before a command, which are skipped: ${shown}`,
    hint: "Let rc files print on a terminal only: farside takes up to 64 KiB.",
  };
}
