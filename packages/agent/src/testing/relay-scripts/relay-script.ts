import fc from "fast-check";

/** What one end of a connection does. Reading goes on by itself but while it is paused. */
export type RelayStep =
  | { readonly do: "write"; readonly bytes: number }
  /** Reads nothing for so long. */
  | { readonly do: "pause"; readonly ms: number }
  /** Lets the event loop turn. */
  | { readonly do: "turns"; readonly count: number }
  /** Waits until the kernel has what was written. */
  | { readonly do: "flush" }
  /** Waits until the other end is at one, too, or has done all of its steps. */
  | { readonly do: "meet" }
  /** Of the end that is `waiting`: until the other's direction is over. Nothing of the other one. */
  | { readonly do: "hear" }
  /** FIN. */
  | { readonly do: "end" }
  /** close(2): what is not with the kernel yet is dropped. */
  | { readonly do: "close" }
  /** RST. */
  | { readonly do: "reset" };

/** Both ends of one connection. Who has neither ended, closed nor reset by its steps ends after them. Everybody who stays reads to the other's end. */
export interface RelayScript {
  /** This one ends only when the other's direction is over. */
  readonly waiting: ScriptEnd;
  readonly client: readonly RelayStep[];
  readonly service: readonly RelayStep[];
  /** So many turns after both have begun, the relay is cut: what a stop does when its grace is over. */
  readonly cutAfter?: number | undefined;
}

export type ScriptEnd = "client" | "service";
export const scriptEnds: readonly ScriptEnd[] = ["client", "service"];

/** Up to some multiple of what the kernel holds for a connection. */
const writes = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 200 }), weight: 4 },
  { arbitrary: fc.integer({ min: 1, max: 70_000 }), weight: 4 },
  { arbitrary: fc.integer({ min: 200_000, max: 6_000_000 }), weight: 1 },
);

const waits: fc.Arbitrary<RelayStep>[] = [
  fc.record({ do: fc.constant("turns" as const), count: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ do: fc.constant("pause" as const), ms: fc.integer({ min: 1, max: 25 }) }),
  fc.constant({ do: "meet" } as const),
  fc.constant({ do: "hear" } as const),
];
const speaking: fc.Arbitrary<RelayStep>[] = [
  fc.record({ do: fc.constant("write" as const), bytes: writes }),
  fc.constant({ do: "flush" } as const),
];

/** Says and waits, by and by. */
const speech = fc.array(
  fc.oneof(
    ...speaking.map((arbitrary) => ({ arbitrary, weight: 3 })),
    ...waits.map((arbitrary) => ({ arbitrary, weight: 1 })),
  ),
  { maxLength: 8 },
);
/** After its end it may listen for a while, and then go. */
const listening = fc.tuple(
  fc.array(fc.oneof(...waits), { maxLength: 3 }),
  fc.constantFrom<readonly RelayStep[]>([], [], [{ do: "close" }], [{ do: "reset" }]),
);
const leaving: fc.Arbitrary<readonly RelayStep[]> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<readonly RelayStep[]>([]) },
  {
    weight: 3,
    arbitrary: listening.map(([pauses, last]) => [{ do: "end" } as const, ...pauses, ...last]),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom<readonly RelayStep[]>(
      ...[[{ do: "close" } as const], [{ do: "flush" } as const, { do: "close" } as const]],
      ...[[{ do: "reset" } as const]],
    ),
  },
);
const endSteps = fc.tuple(speech, leaving).map((parts): readonly RelayStep[] => parts.flat());

export const relayScript: fc.Arbitrary<RelayScript> = fc.record({
  waiting: fc.constantFrom(...scriptEnds),
  client: endSteps,
  service: endSteps,
  cutAfter: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 8 }),
});
