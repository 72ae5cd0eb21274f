import { CodedError } from "@farside/protocol";
import { NO_NODE_NEEDED } from "../start-failure.ts";
import { MIN_GLIBC } from "./pinned-runtimes.ts";

/** What a jump host says of itself where it has no Node.js that fits; hostile, harmless. */
export interface RuntimeFacts {
  /** `uname -s` and `uname -m`. */
  readonly os: string;
  readonly machine: string;
  readonly libc: "glibc" | "musl" | "none";
  /** Of the libc; empty where it can't be known. */
  readonly version: string;
  readonly hasLibstdcxx: boolean;
  /** Whether it can unpack gzip. */
  readonly hasGzip: boolean;
  readonly hasProc: boolean;
  /** A kept runtime with the right digest. */
  readonly kept: string | undefined;
}

/** What a runtime needs of a host. */
export interface RuntimeNeeds {
  /** As `uname -m` has it. */
  readonly machine: string;
  readonly libc: "glibc" | "musl";
  /** Oldest version of the libc; undefined where it is not known. */
  readonly minLibc?: string | undefined;
}

/** Reads the status `facts`. */
export function parseFacts(detail: string): RuntimeFacts {
  const fields = new Map(
    detail.split(";").map((field): [string, string] => {
      const at = field.indexOf("=");
      return [field.slice(0, at), field.slice(at + 1)];
    }),
  );
  const text = (name: string) => (fields.get(name) ?? "").slice(0, 100);
  const libc = text("libc");
  const kept = fields.get("kept") ?? "";
  return {
    os: text("os") || "unknown",
    machine: text("machine") || "unknown",
    libc: libc === "glibc" || libc === "musl" ? libc : "none",
    version: /^\d+(?:\.\d+)*$/.test(text("version")) ? text("version") : "",
    hasLibstdcxx: text("cxx") === "yes",
    hasGzip: text("unpack") === "gzip",
    hasProc: text("proc") === "yes",
    // What goes into a later order has to be a plain path.
    kept: /^\/[A-Za-z0-9/._+@-]+$/.test(kept) ? kept : undefined,
  };
}

/** `Linux x86_64, glibc 2.36`, for people. */
export function describeFacts({ os, machine, libc, version }: RuntimeFacts): string {
  const c = libc === "none" ? "neither glibc nor musl" : `${libc}${version === "" ? "" : ` ${version}`}`;
  return `${os} ${machine}, ${c}`;
}

/**
 * Why no runtime can be sent to such a host, before a byte of it is: undefined where one can. `needs`: of the runtime for its
 * machine; undefined where there is none.
 */
export function whyUnfit(facts: RuntimeFacts, needs: RuntimeNeeds | undefined): string | undefined {
  if (facts.os !== "Linux") return "it is not Linux";
  if (needs === undefined) return `there is no Node.js for its machine (${facts.machine})`;
  if (needs.machine !== facts.machine) return `the Node.js is for ${needs.machine}`;
  if (facts.libc !== needs.libc) {
    return facts.libc === "none"
      ? `it has no ${needs.libc}`
      : `its C library is ${facts.libc}, and the Node.js needs ${needs.libc}`;
  }
  if (needs.minLibc !== undefined && isOlder(facts.version, needs.minLibc))
    return `its ${facts.libc} is ${facts.version}, and the Node.js needs ${needs.minLibc}`;
  if (!facts.hasLibstdcxx) return "it has no libstdc++.so.6";
  if (!facts.hasProc) return "it has no /proc";
  return undefined;
}

/** Whether `version` is known and older than `than`. */
function isOlder(version: string, than: string): boolean {
  if (version === "") return false;
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  for (const [index, wanted] of (b ?? []).entries()) {
    const found = a?.[index] ?? 0;
    if (found !== wanted) return found < wanted;
  }
  return false;
}

/** The error for a host that no runtime can be sent to. `host`: `user@host`. */
export function unfit(host: string, facts: RuntimeFacts, why: string): CodedError {
  return new CodedError(
    "agent.unsupported-host",
    `starting the agent on ${host}: it has no Node.js that fits, and none can be sent: ${why} (found ${describeFacts(facts)})`,
    {
      leg: "jump",
      hint: `What is sent is for Linux on x86_64 or aarch64 with glibc ${MIN_GLIBC} or newer: install a Node.js there, or give a fitting one with --runtime-file${NO_NODE_NEEDED}.`,
    },
  );
}
