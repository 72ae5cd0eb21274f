import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { plainEnvironment, runCli } from "./run-cli.ts";
import { CTRL_C, TerminalRun } from "./terminal-run.ts";

const PIN = "90712834";
const MODULE = "/usr/lib/softhsm/libsofthsm2.so";
const run = promisify(execFile);

let folder = "";
let env: NodeJS.ProcessEnv;

/** A SoftHSM token with one key stands for the card: what the commands print and ask does not depend on it. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-cli-card-"));
  await mkdir(join(folder, "tokens"));
  await writeFile(
    join(folder, "softhsm2.conf"),
    `directories.tokendir = ${join(folder, "tokens")}\nlog.level = ERROR\n`,
  );
  env = plainEnvironment({
    SOFTHSM2_CONF: join(folder, "softhsm2.conf"),
    FARSIDE_PKCS11_PROVIDER: MODULE,
    THE_PIN: PIN,
  });
  await run(
    "softhsm2-util",
    ["--init-token", "--free", "--label", "desk", "--pin", PIN, "--so-pin", "87654321"],
    { env },
  );
  const login = ["--module", MODULE, "--token-label", "desk", "--login", "--pin", PIN];
  const key = ["--keypairgen", "--key-type", "EC:secp256r1", "--id", "01", "--label", "auth", "--usage-sign"];
  await run("pkcs11-tool", [...login, ...key], { env });
});
afterAll(() => rm(folder, { recursive: true }));

const card = (...argv: string[]) => runCli(["card", ...argv], { env });

describe("farside card", () => {
  test("list shows the cards and their keys, without a PIN", async () => {
    const { code, stdout } = await card("list");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^TOKEN +SERIAL +MODEL +READER +PIN\ndesk +.* ok\n\nKEY +LABEL +TYPE +TOKEN\n01 +auth +ecdsa-sha2-nistp256 +desk\n$/,
    );
    expect(JSON.parse((await card("list", "--json")).stdout)).toMatchObject({
      ...{ label: "desk", pin: "ok" },
      keys: [{ id: "01", label: "auth", type: "ecdsa-sha2-nistp256" }],
    });
  });

  test("keys prints lines for authorized_keys, and nothing else on stdout", async () => {
    const { code, stdout } = await card("keys");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ecdsa-sha2-nistp256 [A-Za-z0-9+/=]+ auth\n$/);
    expect((await card("keys", "--key", "none")).stdout).toBe("");
  });

  test("test signs with one PIN entry", async () => {
    const { code, stdout, stderr } = await card("test", "--pin-source", "env:THE_PIN");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^signed a test with key "auth" \(ecdsa-sha2-nistp256\) in \d+ ms.*: 1 PIN entry\n$/,
    );
    expect(stdout + stderr).not.toContain(PIN);
    const json = await card("test", "--json", "--pin-source", "env:THE_PIN");
    expect(JSON.parse(json.stdout)).toMatchObject({ token: "desk", key: "auth", id: "01", pinEntries: 1 });
  });

  test("a wrong PIN is exit 77 and is not shown; without anybody to ask it is said how to give one", async () => {
    const wrong = await runCli(["card", "test", "--pin-source", "env:THE_PIN"], {
      env: { ...env, THE_PIN: "51882097" },
    });
    expect(wrong.code).toBe(77);
    expect(wrong.stderr).toContain("error[card.pin-wrong]");
    expect(wrong.stderr).not.toContain("51882097");
    const nobody = await card("test");
    expect(nobody.code).toBe(77);
    expect(nobody.stderr).toMatch(/error\[card\.pin-unavailable\].*no terminal.*\nhint: .*--pin-source/);
  });

  test("the PIN is typed unseen in the terminal", async () => {
    await using terminal = new TerminalRun(["card", "test"], env);
    await terminal.shows(/PIN 1 of 1 for card "desk"/);
    terminal.type(`${PIN}\r`);
    const text = await terminal.end();
    expect(text).toContain("signed a test");
    expect(text).toContain("exit 0");
    expect(text).toContain("modes icanon echo");
    expect(text).not.toContain(PIN);
  });

  test("Ctrl-C at the PIN calls it off, without a try, and leaves the terminal as it was", async () => {
    await using terminal = new TerminalRun(["card", "test"], env);
    await terminal.shows(/PIN 1 of 1 for card "desk"/);
    terminal.type(`1234${CTRL_C}`);
    const text = await terminal.end();
    expect(text).toContain("error[canceled]");
    expect(text).toContain("exit 130");
    expect(text).toContain("modes icanon echo");
  });
});
