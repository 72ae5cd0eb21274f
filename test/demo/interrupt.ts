/** What must come to an end in order before an interrupted demo does. */
const endings = new Set<() => Promise<unknown>>();

/** `end` is called, and waited for, where the demo is interrupted. */
export function whenInterrupted(end: () => Promise<unknown>): void {
  endings.add(end);
}

/** Never rejects. */
export async function endInterrupted(): Promise<void> {
  await Promise.allSettled([...endings].map((end) => end()));
}
