/** How long a PKCS#11 module may take before it counts as hung. */
export interface CardDeadlines {
  readonly signMs: number;
  readonly pinPadMs: number;
  readonly otherMs: number;
}

export const defaultDeadlines: CardDeadlines = { signMs: 60_000, pinPadMs: 120_000, otherMs: 20_000 };
