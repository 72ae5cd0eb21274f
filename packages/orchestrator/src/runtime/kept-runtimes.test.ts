import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import type { Hop } from "@farside/ssh";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keptRuntimes } from "./kept-runtimes.ts";

const NAME = `.farside-runtime-${userInfo().uid}`;
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "farside-kept-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Runs commands here, as sshd would for a login whose rc file prints. */
const here: Pick<Hop, "exec"> = {
  exec: async (command) => {
    const env = { PATH: process.env["PATH"], HOME: home, XDG_CACHE_HOME: join(home, "cache") };
    const child = spawn("/bin/sh", ["-c", `echo Welcome; printf news; ${command}`], { cwd: home, env });
    return Duplex.from({ readable: child.stdout, writable: child.stdin }) as unknown as Awaited<
      ReturnType<Hop["exec"]>
    >;
  },
};
const signal = AbortSignal.timeout(60_000);

describe("runtimes that were kept on a host", () => {
  it("are found wherever they may be, and removed with their folder only where that is wanted", async () => {
    const kept = [
      join(home, "cache", NAME, "node-11"),
      join(home, NAME, "node-22"),
      join(home, NAME, "new-33"),
    ];
    await mkdir(join(home, "cache", NAME), { recursive: true, mode: 0o700 });
    await mkdir(join(home, NAME), { mode: 0o700 });
    for (const path of kept) await writeFile(path, "");
    expect(await keptRuntimes(here, { remove: false, signal })).toEqual({ left: kept, removed: [] });
    expect(await keptRuntimes(here, { remove: true, signal })).toEqual({ left: [], removed: kept });
    expect([await readdir(home), await readdir(join(home, "cache"))]).toEqual([["cache"], []]);
    expect(await keptRuntimes(here, { remove: true, signal })).toEqual({ left: [], removed: [] });
  });

  it("are not looked for behind a link, and nothing else is removed", async () => {
    await mkdir(join(home, "other"));
    await writeFile(join(home, "other/node-1"), "");
    await symlink(join(home, "other"), join(home, NAME));
    expect(await keptRuntimes(here, { remove: true, signal })).toEqual({ left: [], removed: [] });
    expect(await readdir(join(home, "other"))).toEqual(["node-1"]);
    await rm(join(home, NAME));
    await mkdir(join(home, NAME), { mode: 0o700 });
    await writeFile(join(home, NAME, "mine"), "");
    await keptRuntimes(here, { remove: true, signal });
    expect(await readdir(join(home, NAME))).toEqual(["mine"]);
  });
});
