import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { describeLab } from "./support/describe-lab.ts";
import { expectError } from "./support/expect-error.ts";
import { JUMP_LOGIN, mainJob, runFarside } from "./support/farside.ts";
import { hideNode } from "./support/hide-node.ts";
import { expectNothingLeft } from "./support/leftovers.ts";

describeLab("a jump host that won't", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await lab.jump.mark();
    await lab.card.resetCounters();
  });
  afterEach(async () => {
    await expectNothingLeft(lab.jump);
  });

  const forwardTo = (login: string, ...options: string[]) =>
    runFarside(lab, ["forward", login, "-L", "4444:localhost:4444", ...options]);

  test("a user it doesn't know is refused, and the error names user and host", async () => {
    await using farside = forwardTo("nobody-of-that-name@172.16.16.158");
    await expectError(farside, {
      code: "hop.auth-refused",
      leg: "jump",
      says: /nobody-of-that-name@172\.16\.16\.158/,
    });
  });

  test("a user who has not authorized the key", async () => {
    await using farside = forwardTo("intruder@172.16.16.158");
    await expectError(farside, { code: "hop.auth-refused", leg: "jump" });
    // sshd says no to the key before a signature is asked for.
    expect((await lab.card.counters()).signs).toEqual({});
  });

  test("an sshd that isn't running is a refused connection", async () => {
    await lab.jump.sshd.stop();
    try {
      await using farside = forwardTo(JUMP_LOGIN);
      await expectError(farside, { code: "hop.unreachable", leg: "jump", says: /172\.16\.16\.158/ });
    } finally {
      await lab.jump.sshd.start();
      await lab.jump.mark();
    }
  });

  test("an address that nobody answers on is a timeout that ConnectTimeout sets", async () => {
    await lab.blackholeWorkstationLink();
    try {
      await using farside = forwardTo(JUMP_LOGIN, "-o", "ConnectTimeout=2");
      await expectError(farside, { code: "hop.unreachable", leg: "jump", says: /no answer within 2 s$/ });
    } finally {
      await lab.endBlackhole();
    }
  });

  test("a network without a route, and a name that doesn't resolve", async () => {
    for (const login of ["builder@192.0.2.1", "builder@no-such-host.invalid"]) {
      await using farside = forwardTo(login);
      await expectError(farside, { code: "hop.unreachable", leg: "jump" });
    }
  });

  test("a server that isn't SSH", async () => {
    await using _fake = lab.jump.spawn([
      "node",
      "-e",
      `net.createServer((s) => s.on("error", () => {}).end("HTTP/1.1 400\\r\\n\\r\\n")).listen(2222, "172.16.16.158")`,
    ]);
    await lab.workstation.run([
      "bash",
      "-c",
      "until (: < /dev/tcp/172.16.16.158/2222) 2> /dev/null; do :; done",
    ]);
    await using farside = forwardTo(JUMP_LOGIN, "-p", "2222");
    await expectError(farside, { code: "hop.unreachable", leg: "jump", hint: /Is it an SSH server/ });
    await _fake.kill();
  });

  test("no Node.js, with what was looked for in the hint", async () => {
    const nodes = await hideNode(lab);
    try {
      await using farside = runFarside(lab, [...mainJob(), "--runtime", "never"]);
      await expectError(farside, { code: "agent.no-runtime", leg: "jump", hint: /--remote-node/ });
    } finally {
      await nodes.restore();
    }
  });

  test("a Node.js that is too old, named with its version", async () => {
    const nodes = await hideNode(lab);
    const fake = "#!/bin/sh\necho v16.20.2\n";
    await lab.jump.writeFile("/usr/local/bin/node", fake);
    await lab.jump.run(["chmod", "755", "/usr/local/bin/node"]);
    try {
      await using farside = runFarside(lab, [...mainJob(), "--runtime", "never"]);
      await expectError(farside, { code: "agent.runtime-too-old", leg: "jump", says: /16\.20\.2/ });
    } finally {
      await lab.jump.run(["rm", "/usr/local/bin/node"]);
      await nodes.restore();
    }
  });

  test("a --remote-node that isn't there", async () => {
    await using farside = runFarside(lab, [...mainJob(), "--remote-node", "/nowhere/node"]);
    await expectError(farside, { code: "agent.no-runtime", leg: "jump", says: /\/nowhere\/node|Node/ });
  });
});
