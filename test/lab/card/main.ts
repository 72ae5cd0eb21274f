/** Starts a virtual card by hand: `main.ts DIR [SLOT=KIND …]`. Prints what a client needs; ends with SIGINT or stdin. */
import { fileURLToPath } from "node:url";
import type { CardSlots } from "./card-keys.ts";
import { startCard } from "./start-card.ts";

export type { CardState } from "./card-control.ts";
export type { CardSlots, KeyKind, SlotName } from "./card-keys.ts";
export { attachCard, type StartCardOptions, startCard, type VirtualCard } from "./start-card.ts";

async function main([dir, ...slotArguments]: readonly string[]): Promise<void> {
  if (dir === undefined) throw new Error("usage: main.ts DIR [SLOT=rsa2048|p256|p384 …]");
  const slots = Object.fromEntries(slotArguments.map((text) => text.split("="))) as CardSlots;
  await using card = await startCard({ dir, ...(slotArguments.length === 0 ? {} : { slots }) });
  console.log(`PCSCLITE_CSOCK_NAME=${card.csockName}`);
  for (const line of await card.publicKeys()) console.log(line);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    process.stdin.resume().once("end", () => resolve());
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
