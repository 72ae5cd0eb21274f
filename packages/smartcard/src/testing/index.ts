/** For tests that stand in for the signer process: what it is asked, and what it answers. */
export { attribute, ckr, keyType, mechanism, tokenFlag } from "../pkcs11.ts";
export { ModuleFailure } from "../pkcs11-error.ts";
export type { ObjectFacts, SignerCallName, SignerCalls, SignParams, TokenFacts } from "../signer-messages.ts";
export type { Signer } from "../signer-process.ts";
export { compileFaultModule } from "./compile-fault-module.ts";
export { fuzzTargets } from "./fuzz-targets.ts";
export { signerUnderTest } from "./signer-under-test.ts";
