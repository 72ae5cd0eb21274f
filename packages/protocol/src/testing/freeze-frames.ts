/**
 * Writes the frames of `frames-v1/` that are not there yet, and never changes one that is:
 * `npx tsx --conditions=@farside/source packages/protocol/src/testing/freeze-frames.ts`
 */
import { existsSync, writeFileSync } from "node:fs";
import { encodeFrame } from "../frame.ts";
import { frozenMessages } from "./frames-v1/messages.ts";

for (const [name, message] of Object.entries(frozenMessages)) {
  const file = new URL(`./frames-v1/${name}.hex`, import.meta.url);
  if (existsSync(file)) continue;
  const hex = encodeFrame(message).toString("hex");
  writeFileSync(file, `${hex.replace(/.{96}/g, "$&\n").trimEnd()}\n`);
}
