import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "../lab/lab.ts";
import { listenersOf } from "../lab/proc-net.ts";
import { describeLab } from "../support/describe-lab.ts";
import { expectError } from "../support/expect-error.ts";
import { type FarsideRun, JUMP_LOGIN, runFarside } from "../support/farside.ts";
import { expectNothingLeft } from "../support/leftovers.ts";

const KEY = "/root/.ssh/id_ed25519";
const SHARED = "/var/tmp/shared";

/** Who may connect to the port: admission.e2e.test.ts. Who holds a port first: bind.e2e.test.ts. */
describeLab("another user of the jump host", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: false });
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY]);
    await lab.authorize((await lab.workstation.readFile(`${KEY}.pub`)).trim());
    // As /tmp is: everybody writes, and only the owner removes.
    await lab.jump.run(["install", "-d", "-m", "1777", SHARED]);
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  const forward = (spec: string): FarsideRun =>
    runFarside(lab, ["forward", JUMP_LOGIN, "--identity", KEY, "-L", spec], { pin: false });
  const asIntruder = (script: string) => lab.jump.exec(["sh", "-c", script], { user: "intruder" });

  test("sees of the agent its command line, with no secret in it, and nothing else", async () => {
    await using farside = forward("4444:localhost:9");
    await farside.ready();
    const { pid } = await farside.waitForEvent("agent.ready");
    const commandLine = (await asIntruder(`tr '\\0' ' ' < /proc/${pid}/cmdline`)).stdout;
    const [key = ""] = (await lab.workstation.readFile(KEY)).split("\n").slice(1);
    expect(commandLine).toContain("farside-agent");
    expect(commandLine).not.toContain(key);
    expect(commandLine).not.toMatch(/PRIVATE KEY|[Pp]assw|PIN/);
    for (const file of ["environ", "mem", "maps", "fd/0", "auxv", "io", "stack"]) {
      const { code, stdout, stderr } = await asIntruder(`head -c 1 /proc/${pid}/${file}`);
      expect(`${stdout}${stderr}`, file).toMatch(/denied|not permitted/);
      expect(code, file).not.toBe(0);
    }
    const traced = await asIntruder(`strace -o /dev/null -p ${pid}`);
    expect(traced.stderr).toMatch(/not permitted/);
    // And what the login's own user sees holds no secret either: the key is on the workstation.
    const environment = await lab.jump.run(["cat", `/proc/${pid}/environ`], { user: "builder" });
    expect(environment).not.toMatch(/SSH_AUTH_SOCK|PRIVATE KEY/);
    await farside.end();
    await expectNothingLeft(lab.jump);
  });

  test("finds no debugger to attach to, even after somebody has sent SIGUSR1 to farside or its agent", async () => {
    await using farside = forward("4444:localhost:9");
    await farside.ready();
    const { pid } = await farside.waitForEvent("agent.ready");
    await lab.jump.run(["kill", "-USR1", `${pid}`], { user: "builder" });
    await farside.signal("SIGUSR1");
    // Each refused connection is an event that has gone through both.
    for (let count = 1; count <= 5; count += 1) {
      await asIntruder(`node -e 'require("net").connect(4444, "127.0.0.1").on("error", () => 0)'`);
      await farside.waitForEvent("relay.refused", () => farside.of("relay.refused").length >= count);
    }
    for (const host of [lab.jump, lab.workstation])
      expect((await listenersOf(host.initPid)).join("\n")).not.toContain(":9229");
    expect(farside.transcript).not.toContain("Debugger");
    await farside.end();
    await expectNothingLeft(lab.jump);
  });

  test("can't take the port beside the agent, whatever address it asks for", async () => {
    await using farside = forward("4444:localhost:9");
    await farside.ready();
    const listen = (host: string, extra: string) =>
      `require("net").createServer().on("error", (e) => console.log(e.code)).listen({ port: 4444, host: "${host}", ${extra} }, function () { console.log("mine"); this.close(); })`;
    for (const host of ["127.0.0.1", "::1", "0.0.0.0", "::"]) {
      const { stdout } = await asIntruder(`node -e '${listen(host, "exclusive: true")}'`);
      expect([host, stdout.trim()]).toEqual([host, "EADDRINUSE"]);
    }
    // SO_REUSEPORT, as far as Python can ask for it.
    const reuse = `import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); s.bind(("127.0.0.1", 4444)); s.listen()`;
    expect((await asIntruder(`python3 -c '${reuse}'`)).stderr).toContain("Address already in use");
    await farside.end();
    await expectNothingLeft(lab.jump);
  });

  test.each([
    ["a link to a file of the user", `ln -s /home/builder/.bashrc ${SHARED}/x.sock`],
    ["a link to nowhere", `ln -s /home/builder/made-by-link ${SHARED}/x.sock`],
    ["a file", `echo planted > ${SHARED}/x.sock`],
    [
      "a socket of its own",
      `python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("${SHARED}/x.sock")'`,
    ],
  ])(
    "plants %s where the socket should be: an error, and what was planted is left alone",
    async (_, plant) => {
      expect((await asIntruder(plant)).stderr).toBe("");
      const show = `stat -c '%F %U %s' ${SHARED}/x.sock; stat -c '%s %Y' /home/builder/.bashrc; ls /home/builder`;
      const before = await lab.jump.run(["sh", "-c", show]);
      await lab.jump.mark();
      try {
        await using farside = forward(`${SHARED}/x.sock:localhost:9`);
        await expectError(farside, { code: "forward.port-in-use", leg: "bind" });
        expect(await lab.jump.run(["sh", "-c", show])).toBe(before);
        await expectNothingLeft(lab.jump);
      } finally {
        await lab.jump.run(["rm", "-f", `${SHARED}/x.sock`]);
      }
    },
  );

  test("can't connect to the socket, nor take it away or put another in its place", async () => {
    await using farside = forward(`${SHARED}/y.sock:localhost:9`);
    await farside.ready();
    const connect = `require("net").connect("${SHARED}/y.sock").on("error", (e) => console.log(e.code)).on("connect", () => console.log("in"))`;
    expect((await asIntruder(`node -e '${connect}'`)).stdout.trim()).toBe("EACCES");
    expect((await asIntruder(`rm -f ${SHARED}/y.sock`)).stderr).toMatch(/not permitted/);
    expect((await asIntruder(`touch ${SHARED}/z; mv -f ${SHARED}/z ${SHARED}/y.sock`)).stderr).toMatch(
      /not permitted/,
    );
    await asIntruder(`rm -f ${SHARED}/z`);
    await farside.end();
    await expectNothingLeft(lab.jump);
  });
});
