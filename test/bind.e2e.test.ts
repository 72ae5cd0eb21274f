import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import type { LabProcess } from "./lab/lab-process.ts";
import { exchangeBytes, startByteService } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { JUMP_LOGIN, runFarside } from "./support/farside.ts";
import { expectNothingLeft } from "./support/leftovers.ts";
import { waitFor } from "./support/wait-for.ts";

describeLab("the listener on the jump host", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  const forward = (...specs: string[]) =>
    runFarside(lab, ["forward", JUMP_LOGIN, ...specs.flatMap((spec) => ["-L", spec])]);

  /** Somebody else's listener on the jump host, not part of what farside leaves. */
  async function occupy(port: number, address: string, user = "builder"): Promise<LabProcess> {
    const script = `process.title = "occupant"; net.createServer().listen(${port}, "${address}", () => console.log("up"))`;
    const occupant = lab.jump.spawn(["node", "-e", script], { user });
    await waitFor(() => occupant.stdout.includes("up"), {
      what: "the occupant",
      detail: () => occupant.stderr,
    });
    await lab.jump.mark();
    return occupant;
  }

  for (const address of ["127.0.0.1", "::1"]) {
    test(`is an error where somebody else holds ${address}, names the holder and lets go of the other`, async () => {
      await using occupant = await occupy(4444, address);
      await using farside = forward("4444:localhost:4444");
      await expectError(farside, { code: "forward.port-in-use", leg: "bind", says: /4444/ });
      const { message, hint } = farside.of("error").at(-1) ?? { message: "", hint: "" };
      expect(`${message} ${hint}`).toContain(String(await pidOnHost(occupant)));
      await expectNothingLeft(lab.jump);
    });
  }

  test("names the user where another user's process holds the port", async () => {
    await using _occupant = await occupy(4444, "127.0.0.1", "intruder");
    await using farside = forward("4444:localhost:4444");
    await expectError(farside, { code: "forward.port-in-use", leg: "bind" });
    const { message, hint } = farside.of("error").at(-1) ?? { message: "", hint: "" };
    expect(`${message} ${hint}`).toContain("intruder");
    await expectNothingLeft(lab.jump);
  });

  test("is refused on a privileged port, by name", async () => {
    await using farside = forward("443:localhost:4444");
    await expectError(farside, { code: "forward.bind-refused", leg: "bind", says: /443/ });
    await expectNothingLeft(lab.jump);
  });

  test("is refused on an address that the host doesn't have", async () => {
    await using farside = forward("192.0.2.7:4444:localhost:4444");
    await expectError(farside, { code: "forward.bind-refused", leg: "bind", says: /192\.0\.2\.7/ });
    await expectNothingLeft(lab.jump);
  });

  test("leaves none open where one of several can't be", async () => {
    await using _occupant = await occupy(4445, "127.0.0.1");
    await using farside = forward("4444:localhost:4444", "4445:localhost:4444");
    await expectError(farside, { code: "forward.port-in-use", says: /4445/ });
    await expectNothingLeft(lab.jump);
  });

  test("is on other addresses only when they are spelled out", async () => {
    await using service = await startByteService(lab.target, "4444", 5);
    await lab.target.run(["true"]);
    await using farside = forward("172.16.16.158:4444:localhost:4444", "4445:localhost:4444");
    const { forwards } = await farside.ready();
    expect(forwards.map(({ bind }) => bind)).toEqual([
      ["172.16.16.158:4444"],
      ["127.0.0.1:4445", "[::1]:4445"],
    ]);
    expect((await lab.jump.residue()).listeners).toEqual([
      "tcp 127.0.0.1:4445 uid 1500",
      "tcp 172.16.16.158:4444 uid 1500",
      "tcp [::1]:4445 uid 1500",
    ]);
    await farside.end();
    await service.kill();
  });

  test("is a socket of mode 0600, taken away at the end; a path that exists is an error", async () => {
    await using farside = forward("/tmp/farside.sock:localhost:4444");
    await farside.ready();
    expect(await lab.jump.run(["stat", "-c", "%a %U %F", "/tmp/farside.sock"])).toBe("600 builder socket\n");
    await using second = forward("/tmp/farside.sock:localhost:4444");
    await expectError(second, { code: "forward.port-in-use", leg: "bind", says: /\/tmp\/farside\.sock/ });
    expect(await lab.jump.run(["stat", "-c", "%F", "/tmp/farside.sock"])).toBe("socket\n");
    expect((await farside.end()).exit.code).toBe(0);
    await expectNothingLeft(lab.jump);
  });

  test("answers on localhost by both addresses", async () => {
    await using service = await startByteService(lab.jump, "5555", 5);
    await using farside = forward("4444:localhost:5555");
    await farside.ready();
    for (const where of ["127.0.0.1:4444", "::1:4444", "localhost:4444"]) {
      expect(await exchangeBytes(lab.jump, where, { bytes: 3, streams: 1 })).toMatchObject([{ received: 5 }]);
    }
    await farside.end();
    await service.kill();
  });
});

/** Pid of a lab process as its own host sees it. */
async function pidOnHost(process: LabProcess): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  const status = await readFile(`/proc/${await process.pid()}/status`, "utf8");
  return Number(/^NSpid:.*\s(\d+)$/m.exec(status)?.[1]);
}
