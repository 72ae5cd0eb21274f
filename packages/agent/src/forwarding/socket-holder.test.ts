import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { hasOtherUsers, NOBODY, runAs } from "../testing/other-user.ts";
import { serveTcp } from "../testing/tcp.ts";
import { holderOfPort, holderOfUnixSocket, processOfUnixSocket } from "./socket-holder.ts";

describe("the holder of a port", () => {
  test("is named by pid and command", async () => {
    await using server = await serveTcp();
    expect(await holderOfPort("127.0.0.1", server.port)).toMatch(new RegExp(`^pid ${process.pid} \\(.+\\)$`));
  });

  test.runIf(hasOtherUsers)(
    "that gave itself a name with control characters is shown without them",
    async () => {
      const program = `require("fs").writeFileSync("/proc/self/comm", "a\\u001b[31mb");
      const s = require("net").createServer().listen(0, "127.0.0.1", () => console.log(s.address().port));`;
      await using other = runAs(NOBODY, program);
      const holder = await holderOfPort("127.0.0.1", Number(await other.line()));
      expect(holder).toBe(`pid ${other.child.pid} (a [31mb)`);
    },
  );

  test("is unknown where nobody listens", async () => {
    const { port } = await (async () => {
      await using server = await serveTcp();
      return server;
    })();
    expect(await holderOfPort("127.0.0.1", port)).toBeUndefined();
    expect(await holderOfUnixSocket("/no/such.sock")).toBeUndefined();
  });
});

test("who listens on a unix socket is not taken for one of the connections that wait there", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "fs-holder-"));
  const file = path.join(folder, "a.sock");
  const program = `require("net").createServer().listen(${JSON.stringify(file)}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const clients: net.Socket[] = [];
  try {
    await once(child.stdout, "data");
    child.kill("SIGSTOP");
    for (let count = 0; count < 30; count += 1) {
      const client = net.connect(file);
      clients.push(client);
      await once(client, "connect");
    }
    expect(await processOfUnixSocket(file)).toBe(child.pid);
  } finally {
    for (const client of clients) client.destroy();
    child.kill("SIGKILL");
    await once(child, "exit");
    await rm(folder, { recursive: true });
  }
});
