export * from "./arbitrary.ts";
export * from "./chunked.ts";
export * from "./describe-message-stream.ts";
export { frozenMessages } from "./frames-v1/messages.ts";
export * from "./fuzz/index.ts";
export { fuzzTargets } from "./fuzz-targets.ts";
export { type HostileFrame, hostileFrames } from "./hostile-frames.ts";
export * from "./listening-ports.ts";
export * from "./stream-pair.ts";
