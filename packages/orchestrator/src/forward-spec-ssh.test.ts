import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { isCodedError } from "@farside/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ForwardSpec, parseForwardSpec } from "./forward-spec.ts";

/** What ssh(1) makes of a -L: `localforward …` of `ssh -G`; undefined where it refuses it. */
async function readBySsh(spec: string): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)("ssh", ["-G", "-F", "none", "-L", spec, "host"]).catch(() => ({
    stdout: "",
  }));
  return /^localforward (.*)$/m.exec(stdout)?.[1];
}

/** The same, as ssh would print what farside has read. */
function asSshPrints({ bind, target }: ForwardSpec): string {
  const to = target.kind === "unix" ? target.path : `[${target.host}]:${target.port}`;
  if (bind.kind === "unix") return `${bind.path} ${to}`;
  return `${bind.kind === "loopback" ? bind.port : `[${bind.address}]:${bind.port}`} ${to}`;
}

const port = fc.constantFrom("1", "22", "4444", "65535", "0", "65536", "x", "");
const host = fc.constantFrom(
  "localhost",
  "127.0.0.1",
  "[::1]",
  "[fe80::1%eth0]",
  "sign",
  "*",
  "",
  "a_b.c",
  "-x",
  "a b",
);
const path = fc.constantFrom("/run/x", "./x", "/a\\:b", "/a\\/b", "\\/x", "[/a:b]", "/", "x", "/a/");
const good = fc.oneof(
  fc.tuple(port, host, port),
  fc.tuple(host, port, host, port),
  fc.tuple(port, path),
  fc.tuple(path, host, port),
  fc.tuple(path, path),
  fc.tuple(host, port, path),
);
const odd = fc.array(
  fc.constantFrom(
    "1",
    "22",
    "a",
    ":",
    ":",
    "[",
    "]",
    "/",
    "\\",
    "*",
    ".",
    "-",
    " ",
    "::1",
    "localhost",
    "@",
    "\t",
  ),
  { maxLength: 10 },
);
const spec = fc.oneof(
  { weight: 3, arbitrary: good.map((parts) => parts.join(":")) },
  odd.map((parts) => parts.join("")),
);

describe("what is accepted for -L", () => {
  it("is what ssh accepts, and means the same", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(spec, async (text) => {
        let own: ForwardSpec;
        try {
          own = parseForwardSpec(text);
        } catch (error) {
          if (!isCodedError(error)) throw error;
          expect(error.code).toBe("usage.invalid");
          expect(error.message).not.toMatch(/\p{Cc}/u);
          return;
        }
        // A free port is farside's own.
        if (own.bind.kind !== "unix" && own.bind.port === 0) return;
        accepted += 1;
        const shown = asSshPrints(own);
        // ssh prints an address of all as it was written, and localhost as if it were a name.
        const known = (await readBySsh(text))
          ?.replace(/^\[(?:|\*)\]:/, "[*]:")
          .replace(/^\[localhost\]:/, "");
        expect(known).toBe(shown);
      }),
      { numRuns: 300 },
    );
    expect(accepted).toBeGreaterThan(30);
  });
});
