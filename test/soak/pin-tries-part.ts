import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { playPinSequences } from "../card/pin-tries.ts";
import { makeCardKeys, readCardKeys } from "../lab/card/card-keys.ts";
import type { SoakPart } from "./part.ts";

const SEQUENCES = 10_000;

/** Random sequences of events against the virtual card's retry counter: no PIN try that nobody made. */
export const pinTriesPart: SoakPart = async ({ seed, scale }) => {
  const dir = await mkdtemp(join(tmpdir(), "farside-tries-"));
  try {
    await makeCardKeys(dir, { "9a": "p256" });
    const [key] = readCardKeys(dir, ["9a"]);
    if (key === undefined) throw new Error("no key");
    const sequences = Math.ceil(SEQUENCES * scale);
    const problems: string[] = [];
    const report = await playPinSequences({ sequences, seed, key }).catch((error: Error) => {
      problems.push(error.message);
      return { sequences: 0, tries: 0, seed };
    });
    return {
      problems,
      table: `${report.sequences} random sequences of events, ${report.tries} PINs that came to the card, ${problems.length} that nobody had entered.`,
      page: { path: "docs/reliability.md", kind: "place" },
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};
