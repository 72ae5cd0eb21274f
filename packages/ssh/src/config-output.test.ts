import { isCodedError } from "@farside/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfigOutput } from "./config-output.ts";
import { interpretConfig } from "./config-values.ts";
import { program } from "./testing/program.ts";

const names = [
  ...[
    "user",
    "hostname",
    "port",
    "hostkeyalias",
    "proxyjump",
    "proxycommand",
    "identityfile",
    "identitiesonly",
  ],
  ...[
    "identityagent",
    "pkcs11provider",
    "userknownhostsfile",
    "globalknownhostsfile",
    "stricthostkeychecking",
  ],
  ...["hashknownhosts", "batchmode", "addressfamily", "bindaddress", "connecttimeout", "serveraliveinterval"],
  ...["serveralivecountmax", "kexalgorithms", "ciphers", "macs", "hostkeyalgorithms", "certificatefile"],
  ...["gssapiauthentication", "controlmaster", "constructor", "__proto__"],
];
const value = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom(
    "none",
    "yes",
    "no",
    "22",
    "-1",
    "65536",
    "99999999999",
    "%h",
    "%",
    "%%",
    "%d/%q",
    "$X",
    "~",
    "",
    " ",
  ),
);
const line = fc.tuple(fc.constantFrom(...names), value).map((pair) => pair.join(" "));
const output = fc.array(
  fc.oneof({ weight: 5, arbitrary: line }, fc.string({ unit: "binary", maxLength: 60 })),
  {
    maxLength: 20,
  },
);

/** Nothing, or the code of the failure. */
function failureOf(text: string): string | undefined {
  try {
    const {
      port,
      connectTimeoutMs = 1,
      serverAliveCountMax = 1,
    } = interpretConfig("alias", parseConfigOutput("alias", text));
    expect(Number.isInteger(port) && port >= 1 && port <= 65_535).toBe(true);
    expect(connectTimeoutMs > 0 && serverAliveCountMax >= 0).toBe(true);
    return undefined;
  } catch (error) {
    if (!isCodedError(error)) throw error;
    expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    return error.code;
  }
}

describe("what ssh -G prints", () => {
  test("is a configuration, or config.invalid that is safe to show, whatever it is", () => {
    let good = 0;
    fc.assert(
      fc.property(output, (lines) => {
        const failure = failureOf(lines.join("\n"));
        if (failure === undefined) good += 1;
        expect([undefined, "config.invalid"]).toContain(failure);
      }),
      { numRuns: 3_000 },
    );
    expect(good).toBeGreaterThan(100);
  });

  test("is read as it is written by ssh itself, for every option of ours", async () => {
    const text = await program("ssh", ["-G", "-F", "none", "-p", "2222", "-l", "me", "host.example"]);
    const values = parseConfigOutput("host.example", text);
    expect(values.size).toBeGreaterThan(60);
    expect(interpretConfig("host.example", values)).toMatchObject({
      ...{ user: "me", port: 2222, hostName: "host.example", unsupported: [] },
    });
  });
});
