/** Counts the invocation field, the last 8 bytes of an AES-GCM IV, up by one (RFC 5647, 7.1). */
export function countUp(iv: Uint8Array): void {
  for (let at = 11; at > 3; at -= 1) {
    const next = ((iv[at] ?? 0) + 1) & 0xff;
    iv[at] = next;
    if (next !== 0) return;
  }
}
