// Lifetimes: waits that end, resources that close
export * from "./abortable.ts";
export * from "./any-signal.ts";
// Bytes of a command, in bounded chunks
export { ChunkPump, type PumpEnd, type SendChunk } from "./chunk-pump.ts";
export * from "./deadline.ts";
// Messages: what can be said
export * from "./define.ts";
// Errors: what can fail
export * from "./errors.ts";
// Carriers: how it is said
export { decodeBody, encodeBody, encodeFrame, FrameDecoder } from "./frame.ts";
export { FramedStream, type FramedStreamOptions } from "./framed-stream.ts";
export * from "./gate.ts";
// Peer: one side of it
export { type EventHandler, handle, on, type RequestContext, type RequestHandler } from "./handlers.ts";
// Strings from outside
export * from "./harmless.ts";
// Installed agents: what they are told to do
export {
  type ConfigDifference,
  configDifference,
  type ForwardChange,
  type ForwardField,
} from "./installed/config-difference.ts";
export * from "./installed/installed-config.ts";
export * from "./installed/installed-messages.ts";
export * from "./keep-debuggers-out.ts";
export * from "./limits.ts";
export type { MessageStream, WireValue } from "./message-stream.ts";
export * from "./messages.ts";
export * from "./on-abort.ts";
export { openingFrames } from "./opening.ts";
export { Peer, type PeerOptions } from "./peer.ts";
export type { RequestOptions } from "./pending-requests.ts";
export * from "./preamble.ts";
export * from "./scope.ts";
export * from "./session-events.ts";
export * from "./small-young-generation.ts";
export * from "./version.ts";
export { type WebSocketLike, WebSocketStream } from "./web-socket-stream.ts";
