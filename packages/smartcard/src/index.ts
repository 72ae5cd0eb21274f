// The identity
export type { AbortOptions } from "./abort-options.ts";
export type { CardEvents } from "./card-events.ts";
export { CardIdentity } from "./card-identity.ts";
export type { CardPresence } from "./card-presence.ts";
export { type CardDeadlines, defaultDeadlines } from "./deadlines.ts";
export type { CardKey } from "./key-choice.ts";
// Looking at cards
export { type ListedKey, type ListedToken, listKeys, listTokens } from "./list-card.ts";
export { type CardChoice, type OpenCardOptions, openCard, type ProviderOptions } from "./open-card.ts";
// PINs
export type { PinReason, PinRequest, PinSource, PinState } from "./pin.ts";
export { pinSourceFrom, promptText } from "./pin-source.ts";
export { isPkcs11Uri, type Pkcs11Uri, parsePkcs11Uri } from "./pkcs11-uri.ts";
export { findProvider, resolveProviderPath, usualProviderPaths } from "./provider-path.ts";
export { defaultSignerEntry, type SignerEntry } from "./signer-entry.ts";
export { SpareSigner } from "./spare-signer.ts";
export { type TestedSignature, testSignature } from "./test-signature.ts";
