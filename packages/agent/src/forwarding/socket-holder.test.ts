import { describe, expect, test } from "vitest";
import { hasOtherUsers, NOBODY, runAs } from "../testing/other-user.ts";
import { serveTcp } from "../testing/tcp.ts";
import { holderOfPort, holderOfUnixSocket } from "./socket-holder.ts";

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
