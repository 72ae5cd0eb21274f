import { setFlagsFromString } from "node:v8";

/** V8's flag for it; compiled code names the flags of its process, so what is to be taken later has to have it, too. */
export const SMALL_YOUNG_GENERATION = "--semi-space-growth-factor=1";

/**
 * Keeps V8's young generation from growing, from now on, in this process. It doubles with each burst of garbage up to 32 MiB or more, and never
 * gives that back: a process that has forwarded a few thousand connections once would be twice its size for good. A small one costs
 * no measurable time.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString(SMALL_YOUNG_GENERATION);
}
