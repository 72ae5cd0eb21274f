import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readlink, stat } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { newNonce } from "../../bootstrap.ts";
import { quoted, sshLine, supervisorStart } from "./supervisor-script.ts";

/** What /bin/sh is on the hosts of this world. */
const shells = [["/bin/dash"], ["/bin/bash"], ["/bin/busybox", "sh"], ["/bin/ksh93"], ["/bin/mksh"]];
const present = shells.filter(([path = ""]) => existsSync(path));

/** The supervisor in that shell, as `change` makes it, with a sleep for its ssh, in the folder `gone`, which is removed first; its pid, and what it has said. */
async function supervise(
  shell: readonly string[],
  leaseS: number,
  change: (script: string) => string = (script) => script,
  gone?: string,
) {
  const nonce = newNonce();
  const { command, input } = supervisorStart(nonce);
  const removal = gone === undefined ? "" : `rmdir ${quoted(gone)}; `;
  const login = removal + command.replaceAll("/bin/sh", shell.join(" "));
  const child = spawn("/bin/sh", ["-c", login], { stdio: "pipe", cwd: gone });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += String(chunk);
  });
  const hears = async (word: string) => {
    while (!said.includes(`:${word}`)) await once(child.stdout, "data");
    return new RegExp(`:${word} ?(.*)`).exec(said)?.[1] ?? "";
  };
  child.stdin.write(change(input));
  await hears("facts");
  const line = sshLine({
    ...{ words: ["600"], environment: { PLACE: "it's \\ $here" }, sockets: [], leaseS },
  });
  child.stdin.write(line.replace("ssh unlink", "ssh ssh=sleep; unlink"));
  const pid = Number(await hears("started"));
  const closed = once(child, "close");
  return { child, pid, closed, said: () => said };
}

const isGone = (pid: number) =>
  stat(`/proc/${pid}`).then(
    () => false,
    () => true,
  );

// They wait most of their time.
describe.each(present)("the supervisor in %s", { concurrent: true }, (...shell) => {
  const ways: Record<string, (child: ChildProcess) => void> = {
    "its stdin ends": ({ stdin }) => stdin?.end(),
    "it is told to stop": ({ stdin }) => stdin?.write("stop\n"),
    "it is told anything else": ({ stdin }) => stdin?.write("$(touch /tmp/x)\n"),
    "it gets SIGTERM": (child) => child.kill("SIGTERM"),
    "it gets SIGHUP": (child) => child.kill("SIGHUP"),
  };
  it.for(Object.entries(ways))("ends ssh when %s", async ([, end], { expect }) => {
    const { child, pid, closed, said } = await supervise(shell, 600);
    end(child);
    await closed;
    expect(said()).toMatch(/:end\n$/);
    expect(await isGone(pid)).toBe(true);
  });

  it("ends ssh when the lease is over, and not before; the first beat may come at once", async ({
    expect,
  }) => {
    const leaseS = 3;
    const { child, pid, closed } = await supervise(shell, leaseS);
    child.stdin.write("beat\n".repeat(5));
    const until = performance.now() + leaseS * 1500;
    while (performance.now() < until) {
      child.stdin.write("beat\n");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await isGone(pid)).toBe(false);
    await closed;
    expect(await isGone(pid)).toBe(true);
  });

  it("goes home from a folder that is gone", async ({ expect }) => {
    const gone = await mkdtemp(join(tmpdir(), "farside-gone-"));
    const { child, pid, closed } = await supervise(shell, 600, undefined, gone);
    expect(await readlink(`/proc/${pid}/cwd`)).toBe(homedir());
    child.stdin.end();
    await closed;
  });

  it("has not started before it can hear a beat, however slow it is: the lease is counted all the same", async ({
    expect,
  }) => {
    const slow = (script: string) => script.replace("trap beat=1 USR1;", "sleep 0.5; trap beat=1 USR1;");
    const { child, pid, closed, said } = await supervise(shell, 1, slow);
    child.stdin.write("beat\n");
    await closed;
    expect(said()).toMatch(/:end\n$/);
    expect(await isGone(pid)).toBe(true);
  });
});

it("passes any word through the shell as it is", async () => {
  const words = ["it's", "a\\b", "$HOME `id`", '"', "%d", "-n", ""];
  const child = spawn("/bin/sh", ["-c", `printf "%s|" ${words.map(quoted).join(" ")}`], { stdio: "pipe" });
  let out = "";
  child.stdout.on("data", (chunk) => {
    out += String(chunk);
  });
  await once(child, "close");
  expect(out).toBe(words.map((word) => `${word}|`).join(""));
  expect(() => quoted("a\nb")).toThrow(/no line can hold/);
});
