/** Bounds that both ends keep. All are part of the contract in docs/protocol.md, section 9. */

/** Longest frame body. Checked against the length prefix before a byte of the body is buffered. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** Deepest nesting of maps and arrays in a message. */
export const MAX_DEPTH = 16;
/** Maps, arrays and plain values that a message may hold in all; bounds what a frame can grow to in memory. */
export const MAX_VALUES = 16 * 1024;
/** Keys that one map of a message may have. */
export const MAX_MAP_KEYS = 256;
/** Longest key of a map, in bytes. */
export const MAX_KEY_BYTES = 255;
/** Bytes that a login shell may print before the preamble. */
export const MAX_PREAMBLE_NOISE_BYTES = 64 * 1024;
/** Longest status in the preamble, in bytes. */
export const MAX_PREAMBLE_STATUS_BYTES = 4096;
/** Requests that one side may have open at the other at a time. */
export const MAX_PENDING_REQUESTS = 256;
/** Events that wait for a slow carrier; more are counted and dropped. */
export const MAX_QUEUED_EVENTS = 1000;
/** Forwards a session may have. */
export const MAX_FORWARDS = 64;
/** Hops a route may have. */
export const MAX_HOPS = 8;
/** Connections to the last hop of a route that its relays may be spread over. */
export const MAX_HOP_CONNECTIONS = 16;
/** Agents of dead orchestrators that a forward may be taken over from. */
export const MAX_LOST_RUNS = 256;
/** Open relays that `agent.describe` tells of, each by itself. */
export const MAX_DESCRIBED_RELAYS = 256;
/** Longest string in any message, in UTF-16 code units. */
export const MAX_STRING_LENGTH = 8192;
/** Longest data to be signed (RFC 4252, section 7: a userauth request is far shorter). */
export const MAX_SIGN_DATA_BYTES = 16 * 1024;
/** Longest argument or variable of a command, in UTF-16 code units (Linux takes 128 KiB each). */
export const MAX_ARGUMENT_LENGTH = 128 * 1024;
/** Arguments that a command may have, its own name included. */
export const MAX_ARGUMENTS = 4096;
/** Variables that a command may be given. */
export const MAX_COMMAND_VARIABLES = 200;
/** Commands that an agent runs at a time. */
export const MAX_COMMANDS = 8;
/** Most bytes of a command's stdin or output in one message. */
export const MAX_COMMAND_CHUNK_BYTES = 64 * 1024;
/** Chunks of one stream that may be on the way, not yet written at the other end. */
export const MAX_COMMAND_CHUNKS = 8;
/** Most bytes of an audit log in one message. */
export const MAX_AUDIT_CHUNK_BYTES = 256 * 1024;
