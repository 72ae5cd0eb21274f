/**
 * For processes that stay: the C library gives free memory back once it is so much, in bytes. Its own limit grows with the largest piece that was ever
 * given back, here to more than a megabyte. What a forward's speed depends on is not asked of it: read buffers are used again.
 */
export const mallocEnvironment = { MALLOC_TRIM_THRESHOLD_: "131072" } as const;
