// Messages: what can be said
export * from "./define.ts";
// Errors: what can fail
export * from "./errors.ts";
export * from "./limits.ts";
// Carriers
export type { MessageStream, WireValue } from "./message-stream.ts";
export * from "./messages.ts";
export * from "./session-events.ts";
export * from "./version.ts";
