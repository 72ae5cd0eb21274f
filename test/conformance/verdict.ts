import type { Seen } from "./run-script.ts";
import type { End, Script } from "./script.ts";
import { type FarsideWayName, farsideWayNames, type WayName } from "./way.ts";

export type SeenByWay = Readonly<Partial<Record<WayName, Seen>>>;

export interface Verdict {
  readonly way: FarsideWayName;
  readonly end: End;
  readonly is: "same" | "better" | "worse";
  /** For `better` and `worse`. */
  readonly why: string;
}

/** Each end of each farside way, beside what the same end sees through `ssh -L`. */
export function judge(script: Script, seen: SeenByWay): Verdict[] {
  const [bySsh, direct] = [seen["ssh -L"], seen["no forwarder"]];
  if (bySsh === undefined) throw new Error(`"${script.name}" was not played by ssh -L`);
  return farsideWayNames.flatMap((way) => {
    const here = seen[way];
    if (here === undefined) return [];
    return (["client", "service"] as const).map((end): Verdict => {
      const [own, ssh] = [here[end], bySsh[end]];
      if (own === ssh) return { way, end, is: "same", why: "" };
      if (own === direct?.[end]) return { way, end, is: "better", why: "as without a forwarder" };
      const better = script.better?.find((each) => each.end === end && each.sees === own);
      if (better !== undefined) return { way, end, is: "better", why: better.because };
      return { way, end, is: "worse", why: `it sees "${own}" where ssh -L shows it "${ssh}"` };
    });
  });
}
