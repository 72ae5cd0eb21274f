import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashedName, knownHostsName, matchesHosts, parseKnownHosts } from "./known-hosts-file.ts";
import { type KeyPair, makeKeyPair } from "./testing/key-pair.ts";
import { type TemporaryFolder, temporaryFolder } from "./testing/temporary-folder.ts";

let folder: TemporaryFolder;
let key: KeyPair;
beforeAll(async () => {
  folder = await temporaryFolder();
  key = await makeKeyPair(folder.file("key"));
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Few letters, so that names and patterns meet. */
const piece = fc.string({ unit: fc.constantFrom("a", "b", ".", "1", ":"), minLength: 1, maxLength: 4 });
const port = fc.constantFrom(22, 22, 2222, 22222);
const name = fc.tuple(piece, port).map(([host, at]) => knownHostsName(host, at));
const pattern = fc.oneof(
  name,
  fc.string({
    unit: fc.constantFrom("a", "A", "b", ".", "*", "?", "[", "]", ":", "2", "1"),
    minLength: 1,
    maxLength: 6,
  }),
);
const hosts = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(fc.tuple(fc.boolean(), pattern), { minLength: 1, maxLength: 4 })
      .map((list) => list.map(([isNot, each], index) => (isNot && index > 0 ? `!${each}` : each)).join(",")),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(name, fc.uint8Array({ minLength: 20, maxLength: 20 }))
      .map(([each, salt]) => hashedName(each, salt)),
  },
);
const space = fc.constantFrom(" ", "\t", "  ", " \t ");
const marker = fc.constantFrom("", "", "", "@revoked", "@cert-authority");
const comment = fc.constantFrom("", " a comment", " # no comment");
const entry = fc.tuple(marker, hosts, space, comment);
const filler = fc.constantFrom("", "# a comment", "   ", "#a ssh-ed25519 AAAA");
const file = fc.array(fc.oneof({ weight: 4, arbitrary: entry }, filler), { minLength: 1, maxLength: 12 });

/** The lines that ssh-keygen finds `wanted` on. */
async function linesBySsh(path: string, wanted: string): Promise<number[]> {
  const found = await promisify(execFile)("ssh-keygen", ["-F", wanted, "-f", path]).then(
    ({ stdout }) => stdout,
    (error: { code?: number; stdout?: string }) => {
      if (error.code === 1) return error.stdout ?? "";
      throw error;
    },
  );
  return [...found.matchAll(/^# Host .* found: line (\d+)/gm)].map(([, line]) => Number(line));
}

describe("a known_hosts file", () => {
  test("says of every name what ssh-keygen -F says", async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(file, name, fc.nat(), async (lines, any, at) => {
        // Every other time a name that is written in the file.
        const written = lines.flatMap((line) => (typeof line === "string" ? [] : line[1].split(",")));
        const plain = written.filter((each) => /^[a-z.\d:[\]]+$/.test(each));
        const wanted = at % 2 === 0 ? any : (plain[at % plain.length] ?? any);
        const [type = "", base64 = ""] = key.line.split(" ");
        const text = lines
          .map((line) => {
            if (typeof line === "string") return line;
            const [mark, named, gap, behind] = line;
            return `${mark === "" ? "" : `${mark} `}${named}${gap}${type} ${base64}${behind}`;
          })
          .join("\n");
        const path = folder.file("known_hosts");
        await writeFile(path, `${text}\n`);
        const own = parseKnownHosts(`${text}\n`, path)
          .filter((each) => matchesHosts(each.hosts, wanted))
          .map(({ line }) => line);
        found += own.length;
        expect(own).toEqual(await linesBySsh(path, wanted));
      }),
      { numRuns: 200 },
    );
    expect(found).toBeGreaterThan(50);
  });

  test("of any bytes gives entries whose key is of the type that they name, in linear time", () => {
    const words = fc.constantFrom(
      "@revoked",
      "jump",
      "|1|a|b",
      "ssh-ed25519",
      "AAAA",
      "*",
      ",",
      "!",
      "\t",
      " ",
      "\r",
    );
    const bytes = fc.array(fc.oneof(words, fc.string({ unit: "binary", maxLength: 20 })), { maxLength: 60 });
    fc.assert(
      fc.property(bytes, name, (parts, wanted) => {
        for (const each of parseKnownHosts(parts.join(""), "file")) {
          expect(each.blob.toString("latin1")).toContain(each.type);
          expect(typeof matchesHosts(each.hosts, wanted)).toBe("boolean");
        }
      }),
      { numRuns: 2_000 },
    );
    const startedAt = performance.now();
    expect(matchesHosts(`${"*a".repeat(20_000)}b`, "a".repeat(20_000))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});
