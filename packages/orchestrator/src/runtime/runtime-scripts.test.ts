import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { machine, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { factsOrder } from "./runtime-scripts.ts";

const RUNTIME = "#!/bin/sh\necho v22.0.0\n";
const digest = createHash("sha256").update(RUNTIME).digest("hex");
const NAME = `.farside-runtime-${userInfo().uid}`;

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "farside-kept-")));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A folder of ours with the right Node.js in it. */
async function kept(...path: string[]): Promise<string> {
  const place = join(folder, ...path);
  await mkdir(place, { recursive: true, mode: 0o700 });
  await writeFile(join(place, `node-${digest}`), RUNTIME, { mode: 0o700 });
  return place;
}

/** Which kept runtime the host names, where its caches are in `folder/cache`. */
function found(): Promise<string | undefined> {
  const env = {
    PATH: process.env["PATH"],
    HOME: join(folder, "home"),
    XDG_CACHE_HOME: join(folder, "cache"),
  };
  return new Promise((resolve) => {
    const script = factsOrder({ [machine()]: digest });
    const child = execFile("/bin/sh", ["-c", script], { env }, (_, stdout) =>
      resolve(/;kept=(.*)$/m.exec(stdout)?.[1]),
    );
    child.stdin?.end();
  });
}

describe("a Node.js that was kept on the host", () => {
  it("is found in a folder of the user's own", async () => {
    const place = await kept("cache", NAME);
    expect(await found()).toBe(`${place}/node-${digest}`);
  });

  it("is called by where it is: another user's link may lead to another place in the next moment", async () => {
    const place = await kept("real", NAME);
    await mkdir(join(folder, "cache"));
    await symlink(place, join(folder, "cache", NAME));
    expect(await found()).toBe(`${place}/node-${digest}`);
  });

  it("is none where the link leads to a folder that is not for that", async () => {
    const place = await kept("bin");
    await mkdir(join(folder, "cache"));
    await symlink(place, join(folder, "cache", NAME));
    expect(await found()).toBe("");
  });
});
