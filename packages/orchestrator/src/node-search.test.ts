import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { bootstrap } from "./bootstrap.ts";

import {
  compressed,
  digest,
  FAKE_AGENT,
  fakeNode,
  nodeFolder,
  noNode,
  useLogin,
} from "./testing/started-bootstrap.ts";

const login = useLogin();

const { run } = login;

describe("the search for a node", () => {
  it("reads the version of a wrapper that prints before it, and runs no BASH_ENV", async () => {
    await writeFile(join(login.home, "env.sh"), "echo from v8 BASH_ENV\n");
    const wrapper = await fakeNode(join(login.home, "wrapper/node"), "");
    await writeFile(
      wrapper,
      `#!/bin/bash\n[ "$1" = -v ] && echo "now using v22"\nexec ${process.execPath} "$@"\n`,
    );
    const result = await run({ remoteNode: wrapper, environment: { BASH_ENV: join(login.home, "env.sh") } });
    expect(result.preamble).toBe("agent");
    expect(result.stdout).not.toContain("BASH_ENV");
  });

  it("marks every process of it with the nonce", async () => {
    const teller = await fakeNode(join(login.home, "teller/node"), "");
    await writeFile(
      teller,
      `#!/bin/sh\n[ "$1" = -v ] && echo "$FARSIDE_RUN" > ${join(login.home, "told")}\necho v1.0.0\n`,
    );
    const { nonce } = await run({ remoteNode: teller });
    expect(await readFile(join(login.home, "told"), "utf8")).toBe(`${nonce}\n`);
  });

  it("goes on where the login's folder is gone", async () => {
    const gone = join(login.home, "gone");
    await mkdir(gone);
    // Anything may ask where it is; dash says that all is well there, and nothing.
    const asking = brotliCompressSync(`process.cwd(); ${FAKE_AGENT}`);
    const made = bootstrap({
      ...{ compressed: asking, digest: createHash("sha256").update(asking).digest("hex") },
      remoteNode: process.execPath,
    });
    const child = spawn("/bin/sh", ["-c", `cd ${gone} && rmdir ${gone} && ${made.command}`], {
      env: { PATH: "/usr/bin:/bin", HOME: login.home },
    });
    child.stdin.end(made.upload);
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toContain(`farside-preamble:${made.nonce}:agent\n`);
  });

  it("takes a node on PATH that is new enough, without asking the others", async () => {
    const sentinel = join(login.home, "asked");
    const other = await fakeNode(join(login.home, ".nvm/versions/node/v99.0.0/bin/node"), "v99.0.0");
    await writeFile(other, `#!/bin/sh\ntouch ${sentinel}\necho v99.0.0\n`);
    expect((await run()).preamble).toBe("agent");
    expect(existsSync(sentinel)).toBe(false);
  });

  it.each([
    ".nvm/versions/node/v20.1.0/bin/node",
    ".local/share/fnm/node-versions/v20.1.0/installation/bin/node",
    ".volta/tools/image/node/20.1.0/bin/node",
    ".asdf/installs/nodejs/20.1.0/bin/node",
    ".local/share/mise/installs/node/20.1.0/bin/node",
    "n/bin/node",
    ".local/bin/node",
  ])("finds a real node in ~/%s", async (path) => {
    // Claims to be newer than any that this machine may have in its usual folders.
    const node = await fakeNode(join(login.home, path), "");
    await writeFile(
      node,
      `#!/bin/sh\n[ "$1" = -v ] && { echo v999.9.0; exit; }\nexec ${process.execPath} "$@"\n`,
    );
    const result = await run({ environment: noNode });
    expect(result.preamble).toBe("agent");
  });

  it("takes the newest by number, not by letter", async () => {
    for (const version of ["900.9.0", "1000.0.0", "900.10.1"]) {
      const path = await fakeNode(join(login.home, `.nvm/versions/node/v${version}/bin/node`), "");
      await writeFile(
        path,
        `#!/bin/sh\n[ "$1" = -v ] && { echo v${version}; exit; }\necho "became ${version}"\n`,
      );
    }
    expect((await run({ environment: noNode })).stdout).toMatch(/\nbecame 1000\.0\.0\n$/);
  });

  it("passes over what is broken, a folder, or says no version", async () => {
    await fakeNode(join(login.home, ".nvm/versions/node/v1/bin/node"), "hello");
    await mkdir(join(login.home, ".nvm/versions/node/v2/bin/node"), { recursive: true });
    await mkdir(join(login.home, ".nvm/versions/node/v3/bin"), { recursive: true });
    await symlink("/nonexistent", join(login.home, ".nvm/versions/node/v3/bin/node"));
    expect((await run({ environment: { PATH: `${nodeFolder}:/bin` } })).preamble).toBe("agent");
    const chosen = await run({ remoteNode: join(login.home, ".nvm/versions/node/v1/bin/node") });
    expect(chosen.preamble).toBe(`no-node:${join(login.home, ".nvm/versions/node/v1/bin/node")}`);
  });

  it("says which versions are too old, and where they are", async () => {
    const old = await fakeNode(join(login.home, "old/node"), "v16.20.2");
    const result = await run({ remoteNode: old });
    expect([result.preamble, result.status]).toEqual([`node-too-old:16.20.2=${old}`, 69]);
    const nearly = await fakeNode(join(login.home, "nearly/node"), "v18.17.9");
    expect((await run({ remoteNode: nearly })).preamble).toBe(`node-too-old:18.17.9=${nearly}`);
  });

  it("without one, reads away the bundle and what goes with it, byte by byte, and then does as it is ordered", async () => {
    // Were a byte of it left, it would stand before the order and be read as one.
    const opening = Buffer.from(`\ntouch ${join(login.home, "read")}\n`.repeat(2_000));
    const options = { compressed, digest, remoteNode: "/nonexistent/node", opening };
    const made = bootstrap({ ...options, withoutNode: "wait" });
    const child = spawn("/bin/sh", ["-c", made.command], {
      env: { PATH: "/usr/bin:/bin", HOME: login.home },
    });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stdin.write(made.upload);
    child.stdin.end(`echo "ordered $nonce"; exit 7\n`);
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(Buffer.concat(chunks).toString()).toMatch(
      new RegExp(`farside-preamble:${made.nonce}:waiting:no-node\nordered ${made.nonce}\n$`),
    );
    expect([status, await readdir(login.home)]).toEqual([7, []]);
  });

  it("takes a chosen node from a path, below the home folder, or by name", async () => {
    await mkdir(join(login.home, "bin dir"));
    await symlink(process.execPath, join(login.home, "bin dir/node"));
    for (const remoteNode of [process.execPath, "~/bin dir/node", "node"]) {
      expect((await run({ remoteNode })).preamble).toBe("agent");
    }
  });
});
