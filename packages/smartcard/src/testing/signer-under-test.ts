import { fileURLToPath } from "node:url";
import type { SignerEntry } from "../signer-entry.ts";

/**
 * The signer process of a test: as scripts/test has just built it, which starts with a third of the CPU; else, as everywhere
 * in a checkout, its source.
 */
export const signerUnderTest: SignerEntry | undefined =
  process.env["FARSIDE_IS_BUILT"] === "yes"
    ? [fileURLToPath(new URL("../../dist/signer-main.js", import.meta.url))]
    : undefined;
