import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { unitName, unitText } from "./unit-text.ts";

const facts = {
  name: "signing",
  node: "/usr/bin/node",
  command: ["/home/b/.local/agent.cjs", "serve"],
  run: "ab".repeat(16),
};

describe("the unit of an installed agent", () => {
  test("starts it, says when it is ready, and starts it again after a crash", () => {
    const lines = unitText(facts).split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        'ExecStart="/usr/bin/node" "/home/b/.local/agent.cjs" "serve"',
        `Environment=FARSIDE_RUN=${"ab".repeat(16)} MALLOC_TRIM_THRESHOLD_=131072`,
        "UnsetEnvironment=NODE_OPTIONS NODE_DEBUG NODE_V8_COVERAGE",
        "Type=notify",
        "NotifyAccess=all",
        "Restart=always",
        "StartLimitBurst=20",
        "SyslogIdentifier=farside-signing",
        "WantedBy=default.target",
      ]),
    );
    expect(unitName("signing")).toBe("farside-signing.service");
  });

  test("takes nothing for an escape, a specifier or a variable", () => {
    const text = unitText({ ...facts, node: '/home/a b/100%/$HOME/"\\x' });
    expect(text).toContain('ExecStart="/home/a b/100%%/$$HOME/\\"\\\\x" ');
    expect(() => unitText({ ...facts, node: "/a\nExecStop=/bin/evil" })).toThrow(/control character/);
  });

  test("is one that systemd has nothing to say against", async () => {
    const text = unitText({ ...facts, node: process.execPath });
    expect(await saidBySystemd(text)).toBe("");
    expect(await saidBySystemd(text.replace("Type=notify", "Typ=notify"))).toContain("Typ");
  });
});

/** What `systemd-analyze verify` has to say about a unit. */
async function saidBySystemd(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "farside-unit-"));
  try {
    const file = join(folder, unitName("signing"));
    await writeFile(file, text);
    const env = { ...process.env, XDG_RUNTIME_DIR: folder };
    const command = ["verify", "--user", "--man=no", file];
    return (await promisify(execFile)("systemd-analyze", command, { env })).stderr;
  } finally {
    await rm(folder, { recursive: true });
  }
}
