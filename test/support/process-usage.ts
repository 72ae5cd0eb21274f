import { readdir, readFile } from "node:fs/promises";

/** What a process has of the machine, in bytes. */
export interface ProcessUsage {
  /** Resident: all pages that it has mapped, those that it shares with other processes of the same program too. */
  readonly rss: number;
  /** Its share of them: a page that n processes map counts an nth. */
  readonly pss: number;
  /** Pages that nobody else has: what its end would give back. */
  readonly own: number;
  readonly descriptors: number;
}

/** What the process with the machine's pid `pid` has now. */
export async function usageOf(pid: number): Promise<ProcessUsage> {
  const [rollup, descriptors] = await Promise.all([
    readFile(`/proc/${pid}/smaps_rollup`, "utf8"),
    readdir(`/proc/${pid}/fd`),
  ]);
  const bytes = (field: string): number => {
    const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(rollup)?.[1];
    if (kilobytes === undefined) throw new Error(`process ${pid} says nothing of ${field}`);
    return Number(kilobytes) * 1024;
  };
  return {
    ...{ rss: bytes("Rss"), pss: bytes("Pss") },
    own: bytes("Private_Clean") + bytes("Private_Dirty"),
    descriptors: descriptors.length,
  };
}

/** `49.3 MB`, of a million bytes each. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** RSS and descriptors, as tables have them. */
export const describeUsage = ({ rss, descriptors }: ProcessUsage): string =>
  `${megabytes(rss)}, ${descriptors}`;
