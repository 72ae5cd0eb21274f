/** Bounds of the data path, in bytes unless said otherwise. docs: README.md in this folder, "Memory". */

/**
 * Longest CHANNEL_DATA payload that servers may send us. Far over the customary 32 KiB, because every packet costs a
 * createDecipheriv here and a turn of its main loop there.
 */
export const MAX_RECEIVED_PAYLOAD = 128 * 1024;
/** Longest packet that is taken in: a full payload, its header, padding, and room for servers that count differently. */
export const MAX_RECEIVED_PACKET = MAX_RECEIVED_PAYLOAD + 1024;
/** Room for what is read from the SSH connection: a few of the longest packets, and no more than fits a core's cache. */
export const RING_BYTES = 512 * 1024;

/** Longest CHANNEL_DATA payload that is sent, even to servers that would take more. */
export const MAX_SENT_PAYLOAD = 64 * 1024;
/** A server that takes less than this in a packet would cost more in headers than in payload. */
export const MIN_SENT_PAYLOAD = 1024;
/** One piece of the memory that outgoing packets are built in. */
export const SLAB_BYTES = 512 * 1024;
/** Slabs that are kept for reuse. */
export const SPARE_SLABS = 4;
/** Once so much waits for the SSH connection, nothing more is read from local sockets. */
export const CONGESTED_BYTES = 1024 * 1024;
/** What may wait for the SSH connection before a server that does not read is given up: this, and a share a channel. */
export const OVERDUE_BYTES = 32 * 1024 * 1024;
export const OVERDUE_BYTES_PER_CHANNEL = 64 * 1024;

/** What is read at once from a local socket that sends little. */
export const SMALL_READ = 16 * 1024;
/** What is read at once from a local socket that fills its reads. */
export const LARGE_READ = 256 * 1024;
/** Local sockets that may read large at a time: what they hold when the SSH connection stalls is bounded by it. */
export const LARGE_READERS = 16;
/** Local sockets that go on at once after congestion. */
export const RESUMED_AT_ONCE = 8;

/** Receive window that a channel starts with, and the least that it is given when memory is short. */
export const FIRST_WINDOW = 512 * 1024;
export const LEAST_WINDOW = 64 * 1024;
/**
 * What a channel's receive window grows to on the shortest way: what both ends need to work side by side. Measured: 2 MiB
 * leaves sshd waiting for us, 16 MiB cost it up to 7 s of CPU a GB.
 */
export const LOCAL_WINDOW = 4 * 1024 * 1024;
/** The most that a channel's receive window grows to: 125 MB/s at a round trip of 100 ms. */
export const LARGEST_WINDOW = 16 * 1024 * 1024;
/** Receive windows of all channels of the process together, but for the least of each. */
export const TOTAL_WINDOW = 128 * 1024 * 1024;

/** Channel numbers of one connection, also those of closed channels that the server has not let go of. */
export const MAX_CHANNELS = 64 * 1024;
/** Messages of ours that may wait for the end of a key exchange: a few a channel. */
export const MAX_DEFERRED = 4 * MAX_CHANNELS;
/** Longest wait for a key exchange that is under way when a data path is wanted, in ms. */
export const ATTACH_DEADLINE_MS = 10_000;
/** Longest wait for the end of a key exchange, in ms. */
export const REKEY_DEADLINE_MS = 60_000;
/** Longest wait for the answer to a channel request unless the caller says otherwise, in ms. */
export const OPEN_DEADLINE_MS = 60_000;
/**
 * New keys after so many bytes both ways together: half of what RFC 4344, 3.2 allows (2^32 blocks of 16 bytes), and
 * fewer than the 2^31 packets of 3.1, because no packet has less than 32 bytes.
 */
export const REKEY_BYTES = 2 ** 35;
