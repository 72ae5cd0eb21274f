/** The variable that names the sockets which a successor has at its descriptors. */
export const LISTENERS_VARIABLE = "FARSIDE_LISTENERS";
/** 0 to 2 are the standard streams, 3 is the channel to its predecessor. */
export const FIRST_DESCRIPTOR = 4;

/** Instead of a forward's id: the port for metrics. No forward is called so. */
export const METRICS_HEIRLOOM = "";

export interface Heirloom {
  /** Or `METRICS_HEIRLOOM`. */
  readonly forwardId: string;
  readonly descriptors: readonly number[];
}

/** What a predecessor passes on: the value of the variable, and the descriptors in the order of the child's. */
export function bequeath(heirlooms: readonly Heirloom[]): { text: string; descriptors: readonly number[] } {
  let next = FIRST_DESCRIPTOR;
  const counts = heirlooms.map(({ forwardId, descriptors }) => {
    const first = next;
    next += descriptors.length;
    return { forwardId, first, count: descriptors.length };
  });
  return { text: JSON.stringify(counts), descriptors: heirlooms.flatMap(({ descriptors }) => descriptors) };
}

/** What a successor finds, by forward; undefined where it is none. Throws where the text is not ours. */
export function inherit(text: string | undefined): ReadonlyMap<string, readonly number[]> | undefined {
  if (text === undefined) return undefined;
  const counts = JSON.parse(text) as { forwardId: string; first: number; count: number }[];
  return new Map(
    counts.map(({ forwardId, first, count }) => [
      forwardId,
      Array.from({ length: count }, (_, index) => first + index),
    ]),
  );
}
