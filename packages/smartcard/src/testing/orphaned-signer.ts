/**
 * A program for a test to kill: opens the card that its first argument (JSON) describes, starts a signature, and prints
 * the signer's process id.
 */
import { openCard, type ProviderOptions } from "../open-card.ts";
import { testSignature } from "../test-signature.ts";
import { scriptedPinSource } from "./scripted-pin-source.ts";
import { softHsmPin } from "./soft-hsm.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as ProviderOptions;
const card = await openCard({
  ...options,
  pinSource: scriptedPinSource([softHsmPin]),
  events: { onWaiting: () => console.log(card.signerPid) },
});
await testSignature(card);
