export type { ChannelTarget } from "./channel-opening.ts";
export { type ChannelOpenOptions, canUseDataPath, DataPath, type DataPathOptions } from "./data-path.ts";
export { connectDataSocket } from "./data-socket.ts";
export type { FastChannel } from "./fast-channel.ts";
export { isReset } from "./is-reset.ts";
export { readInto } from "./read-into.ts";
export type { FastRelay, RelayEnd } from "./relay-end.ts";
