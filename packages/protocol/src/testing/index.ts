export * from "./arbitrary.ts";
export * from "./chunked.ts";
export * from "./describe-message-stream.ts";
export * from "./stream-pair.ts";
