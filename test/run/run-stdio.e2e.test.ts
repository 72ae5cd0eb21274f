import { readFile } from "node:fs/promises";
import { beforeAll, expect, test } from "vitest";
import type { Host } from "../lab/host.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { describeLab } from "../support/describe-lab.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import { waitFor } from "../support/wait-for.ts";
import { runEnvironment, runWords } from "./run-command.ts";
import { useRunLab } from "./use-run-lab.ts";

const MEBIBYTE = 1024 * 1024;
/** What neither end may grow to, whatever passes through. */
const MAX_RSS_BYTES = 180 * MEBIBYTE;

describeLab("the input and output of farside run", () => {
  const on = useRunLab();

  beforeAll(async () => {
    const script = "head -c 100M /dev/urandom > /dev/shm/payload; chmod 644 /dev/shm/payload";
    await Promise.all([on.lab.jump, on.lab.workstation].map((host) => host.run(["sh", "-c", script])));
  });

  test("passes 100 MiB of stdin and stdout, every byte, with bounded memory at both ends", async () => {
    const words = [...runWords(), "sh", "-c", "cat; grep VmHWM /proc/$PPID/status >&2"];
    const run = on.lab.workstation.spawn(
      ["sh", "-c", '"$@" < /dev/shm/payload | sha256sum', "sh", ...words],
      {
        env: runEnvironment(on.lab),
      },
    );
    const largest = await peakOfFarside(run);
    expect(run.stdout.split(" ")[0], run.stderr).toBe(await digest(on.lab.workstation));
    expect(largest).toBeLessThan(MAX_RSS_BYTES);
    const agent = Number(/VmHWM:\s+(\d+) kB/.exec(run.stderr)?.[1]) * 1024;
    expect(agent).toBeLessThan(MAX_RSS_BYTES);
    expect(agent).toBeGreaterThan(0);
  }, 120_000);

  test("passes 100 MiB of a command that reads no stdin, while stdin is open", async () => {
    const words = [...runWords(), "cat", "/dev/shm/payload"];
    const run = on.lab.workstation.spawn(["sh", "-c", '"$@" | sha256sum', "sh", ...words], {
      env: runEnvironment(on.lab),
    });
    await run.exit;
    expect(run.stdout.split(" ")[0], run.stderr).toBe(await digest(on.lab.jump));
  }, 120_000);

  test("delivers what is printed after stdin has ended, and while there is none at all", async () => {
    const script = "cat >/dev/null; echo start; sleep 1; echo end; echo err >&2";
    for (const redirection of ["</dev/null", "<&-"]) {
      const words = [...runWords(), "sh", "-c", script];
      const run = on.lab.workstation.spawn(["sh", "-c", `"$@" ${redirection}`, "sh", ...words], {
        env: runEnvironment(on.lab),
      });
      const { code } = await run.exit;
      expect([code, run.stdout], run.stderr).toEqual([0, "start\nend\n"]);
      expect(run.stderr).toMatch(/^err$/m);
    }
  });

  test("writes the events to a descriptor of the caller's, and nothing of them to stdout", async () => {
    const words = [...runWords({ options: ["--events", "fd:9", "--log-level", "error"] }), "echo", "out"];
    const script = '"$@" 9>/tmp/events.jsonl; cat /tmp/events.jsonl >&2; rm /tmp/events.jsonl';
    const run = on.lab.workstation.spawn(["sh", "-c", script, "sh", ...words], {
      env: runEnvironment(on.lab),
    });
    run.stdin.end();
    await run.exit;
    expect(run.stdout).toBe("out\n");
    const events = run.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).event);
    expect(events).toContain("ready");
    expect(events.at(-1)).toBe("receipt");
  });

  test("holds a command back whose output nobody reads, for longer than the lease", async () => {
    const words = [...runWords({ options: ["--lease", "4"] }), "cat", "/dev/shm/payload"];
    const script = '"$@" | (sleep 6; sha256sum)';
    const run = on.lab.workstation.spawn(["sh", "-c", script, "sh", ...words], {
      env: runEnvironment(on.lab),
    });
    const largest = await peakOfFarside(run);
    expect(run.stdout.split(" ")[0], run.stderr).toBe(await digest(on.lab.jump));
    expect(largest).toBeLessThan(MAX_RSS_BYTES);
    await expectNothingLeft(on.lab.jump);
  }, 60_000);

  test("ends a command whose output nobody reads any more", async () => {
    const words = [...runWords(), "cat", "/dev/zero"];
    const script = '"$@" | head -c 1000 | wc -c';
    const run = on.lab.workstation.spawn(["sh", "-c", script, "sh", ...words], {
      env: runEnvironment(on.lab),
    });
    await run.exit;
    expect(run.stdout.trim(), run.stderr).toBe("1000");
    await expectNothingLeft(on.lab.jump);
  });
});

/** The most memory that farside's process took until it ended, in bytes. */
async function peakOfFarside(run: LabProcess): Promise<number> {
  const outer = await run.pid();
  let largest = 0;
  await waitFor(
    async () => {
      for (const pid of await descendantsOf(outer)) {
        const [command, status] = await Promise.all([
          readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
          readFile(`/proc/${pid}/status`, "utf8").catch(() => ""),
        ]);
        if (!/^node\0.*cli\/dist\/main\.js\0run/.test(command)) continue;
        largest = Math.max(largest, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024);
      }
      return run.hasEnded;
    },
    { what: "the end of run", withinMs: 110_000, everyMs: 20, detail: () => run.stderr },
  );
  await run.exit;
  if (largest === 0) throw new Error("farside's process was not seen");
  return largest;
}

async function descendantsOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = text.trim().split(" ").filter(Boolean).map(Number);
  const below = await Promise.all(children.map(descendantsOf));
  return [pid, ...below.flat()];
}

async function digest(host: Host): Promise<string> {
  return (await host.run(["sha256sum", "/dev/shm/payload"])).split(" ")[0] ?? "";
}
