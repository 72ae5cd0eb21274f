import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { playPinSequences } from "./card/pin-tries.ts";
import { makeCardKeys, readCardKeys } from "./lab/card/card-keys.ts";

/** `npm run soak` plays 10,000. */
const SEQUENCES = 400;

test("no sequence of removals, resets, crashes, wrong PINs and aborts costs a PIN try that nobody made", async () => {
  const dir = await mkdtemp(join(tmpdir(), "farside-tries-"));
  try {
    await makeCardKeys(dir, { "9a": "p256" });
    const [key] = readCardKeys(dir, ["9a"]);
    if (key === undefined) throw new Error("no key");
    const report = await playPinSequences({ sequences: SEQUENCES, seed: Date.now() & 0x7fffffff, key });
    expect(report.sequences).toBe(SEQUENCES);
    expect(report.tries).toBeGreaterThan(SEQUENCES / 10);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
