export * from "./chunked.ts";
export * from "./stream-pair.ts";
