import { isCodedError } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { readForwardsFile } from "./read-forwards-file.ts";

const FULL = `# signing
name: signing
metrics-port: 9100
defaults:
  via: signer@sign-1
  identity: attached
forwards:
  - id: sign
    listen: 4444
    target: localhost:4444
  - id: stamps
    listen: { address: 10.0.0.1, port: 8080 }
    target: { host: stamps.example, port: 80 }
    via:
      - host: sign-1
        user: signer
        host-keys: ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
      - deploy@vault:2222
    identity: { key-file: ~/.ssh/id_ed25519 }
    allow-users: [jenkins]
    max-relays: 20
    probe: 30s
  - id: socket
    listen: /run/user/1500/db.sock
    target: { socket: /run/db.sock }
    via: []
`;

/** What `text` is refused with: message and hint. */
function refusal(text: string): { message: string; hint: string; line: unknown; column: unknown } {
  try {
    readForwardsFile(text, "f.yaml");
  } catch (error) {
    if (!isCodedError(error)) throw error;
    const { message, hint = "", code, data } = error;
    expect(code).toBe("config.invalid");
    return { message, hint, line: data?.["line"], column: data?.["column"] };
  }
  throw new Error("it was taken");
}

/** One forward with `lines` besides, from line 2 on. */
const one = (...lines: string[]) =>
  ["forwards:", "  - id: a", ...lines.map((line) => `    ${line}`)].join("\n");

describe("forwards.yaml", () => {
  test("may say all that there is", () => {
    expect(readForwardsFile(FULL, "f.yaml")).toMatchObject({
      name: "signing",
      "metrics-port": 9100,
      forwards: [{ id: "sign" }, {}, {}],
    });
  });

  test.each([
    [
      "metrics at a forward's port",
      `${one("listen: 9100", "target: x:1")}\nmetrics-port: 9100\n`,
      3,
      13,
      /metrics/,
    ],
    [
      "metrics on no port",
      `${one("listen: 1", "target: x:1")}\nmetrics-port: 9100a\n`,
      5,
      15,
      /a port is a number/,
    ],
    ["a wrong type", one("listen: [1]", "target: x:1"), 3, 13, /listen: write a port/],
    ["a port out of range", one("listen: 70000", "target: x:1"), 3, 13, /listen/],
    ["a listen that is none", one("listen: 44x4", "target: x:1"), 3, 13, /not a port number.*"44x4"/],
    ["a target without a port", one("listen: 1", "target: localhost"), 4, 13, /host:hostport/],
    [
      "a target with port 0",
      one("listen: 1", "target: { host: x, port: 0 }"),
      4,
      30,
      /forwards\[1\]\.target\.port/,
    ],
    [
      "a key that is not there",
      one("listen: 1", "target: x:1", "listem: 2"),
      5,
      5,
      /listem: there is no such key/,
    ],
    [
      "a key of a hop that is not there",
      one("listen: 1", "target: x:1", "via: [{ host: b, prot: 2 }]"),
      5,
      22,
      /via\[1\]\.prot: there is no such key/,
    ],
    [
      "a misspelt key, named before what it leaves missing",
      one("lisen: 1", "target: x:1"),
      3,
      5,
      /lisen: there is no such key/,
    ],
    ["a missing key", one("listen: 1"), 2, 5, /forwards\[1\]\.target: it is missing/],
    ["a bad hop", one("listen: 1", "target: x:1", "via: [b, 'a b']"), 5, 14, /via\[2\].*space/],
    [
      "an identity that is none",
      one("listen: 1", "target: x:1", "identity: card"),
      5,
      15,
      /attached, \{key-file/,
    ],
    [
      "a relative key file",
      one("listen: 1", "target: x:1", "identity: { key-file: id }"),
      5,
      27,
      /begins with \/ or ~/,
    ],
    [
      "a host key that is none",
      one("listen: 1", "target: x:1", "via: [{ host: b, host-keys: [ssh-ed25519 AAAA] }]"),
      5,
      34,
      /host-keys\[1\]/,
    ],
    [
      "an id twice",
      `${one("listen: 1", "target: x:1")}\n${one("listen: 2", "target: x:1").slice(10)}`,
      5,
      9,
      /another a/,
    ],
    ["a bad name", `name: Sign\n${one("listen: 1", "target: x:1")}`, 1, 7, /small letters/],
    ["a key twice", `name: a\nname: b\n${one("listen: 1", "target: x:1")}`, 2, 1, /unique/i],
    ["broken YAML", "forwards:\n  - id: [\n", 3, 1, /./],
    ["no forward", "forwards: []", 1, 11, /there must be a forward/],
    ["an unknown tag", "forwards: !!js/function x", 1, 11, /./],
    ["a list for a file", "- a", 1, 1, /./],
  ])("is refused for %s, with its line and column", (_, text, line, column, words) => {
    const refused = refusal(text);
    expect(refused).toMatchObject({ line, column });
    expect(refused.message).toMatch(words);
    expect(refused.message).toContain(`reading f.yaml:${line}:${column}: `);
  });

  test("tells all that is wrong at once", () => {
    const { message, hint } = refusal(one("listen: 44x4", "target: nowhere", "via: [b, 'a b']"));
    expect(message).toMatch(/f\.yaml:3:13/);
    expect(hint).toMatch(/^Also: f\.yaml:4:13.*; f\.yaml:5:14/);
  });

  test("an empty file, one that is too large and one of aliases of aliases are refused", () => {
    expect(refusal("").message).toMatch(/f\.yaml/);
    expect(refusal(`# ${"x".repeat(300_000)}`).message).toMatch(/larger than 256 KiB/);
    const bomb = Array.from(
      { length: 12 },
      (_, n) => `x${n}: &x${n} [${n === 0 ? "a" : Array(9).fill(`*x${n - 1}`)}]`,
    );
    expect(refusal(bomb.join("\n")).message).toMatch(/alias/i);
  });

  test("what is quoted from the file is harmless", () => {
    expect(refusal(one('listen: "4\\u001b[31m"', "target: x:1")).message).not.toContain("\u001b");
  });
});
