import { once } from "node:events";
import { stat } from "node:fs/promises";
import { createServer } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { CodedError } from "@farside/protocol";
import { fingerprint, parsePublicKeyLine } from "@farside/ssh";
import { type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployAndForward } from "../../deploy-and-forward.ts";
import type { ForwardOptions } from "../../forward-options.ts";
import { startEchoServer } from "../../testing/echo-server.ts";
import { engineProcesses } from "../../testing/engine-processes.ts";
import { type JumpHost, startJumpHost } from "../../testing/jump-host.ts";
import { boundPort, eventsNamed, exchange } from "../../testing/session-probe.ts";

let host: JumpHost;
let target: Sshd;
let second: Sshd;
beforeAll(async () => {
  host = await startJumpHost(undefined);
  const authorizedKeys = [host.sshd.userKey.line];
  [target, second] = await Promise.all([startSshd({ authorizedKeys }), startSshd({ authorizedKeys })]);
  await host.know(target);
  await host.know(second);
});
afterAll(async () => {
  for (const one of [host, target, second]) await one?.[Symbol.asyncDispose]();
});

const clean = { processes: [], listeners: [], files: [], clean: true };
const place = ({ user, port }: Sshd) => `${user}@127.0.0.1:${port}`;
const optionsOf = (more: Partial<ForwardOptions> = {}) =>
  host.options({ engine: "openssh", remoteNode: undefined, via: place(target), ...more });

/** What a session that can't start ends with, and what is left of it. */
async function failureOf(more: Partial<ForwardOptions>, from = host) {
  const options = from.options({ engine: "openssh", remoteNode: undefined, via: place(target), ...more });
  const error = await deployAndForward(options).then(
    () => undefined,
    (reason: CodedError) => reason,
  );
  return { ...error, message: error?.message, receipt: eventsNamed(options.events, "receipt")[0], options };
}

describe("a session with the OpenSSH engine", () => {
  it("opens, relays, and closes with a clean receipt, with one signature for the hop", async () => {
    await using echo = await startEchoServer();
    const options = optionsOf({ forwards: `0:127.0.0.1:${echo.port}` });
    await using session = await deployAndForward(options);
    expect(await exchange(boundPort(session), "hello")).toBe("hello");
    const { failure, receipt } = await session.close();
    expect(failure).toBeUndefined();
    expect(receipt).toMatchObject(clean);
    await expect(exchange(boundPort(session), "x")).rejects.toThrow(/ECONNREFUSED/);
    expect(options.events.map(({ event }) => event)).toEqual([
      ...[
        "hop.connected",
        "warning",
        "engine.ready",
        "sign",
        "hop.connected",
        "forward.open",
        "ready",
        "receipt",
      ],
    ]);
    expect(eventsNamed(options.events, "warning")[0]?.message).toMatch(/every user of it may connect/);
  });

  it("goes through several hops, each with a signature of its own", async () => {
    await using echo = await startEchoServer();
    const options = optionsOf({ forwards: `0:127.0.0.1:${echo.port}`, via: [place(target), place(second)] });
    await using session = await deployAndForward(options);
    expect(await exchange(boundPort(session), "hello")).toBe("hello");
    const hops = [target, second].map(place);
    expect(eventsNamed(options.events, "sign").map(({ hop }) => hop)).toEqual(hops);
    expect(session.forwards[0]?.via).toEqual(hops);
    expect(await session.close()).toMatchObject({ failure: undefined, receipt: clean });
  });

  it("listens on a socket of mode 0600, and removes it", async () => {
    await using echo = await startEchoServer();
    const path = host.sshd.folder.file("it's 100%: a.sock");
    const bind = { kind: "unix", path } as const;
    const forwards = [{ bind, target: { kind: "tcp", host: "127.0.0.1", port: echo.port } }] as const;
    await using session = await deployAndForward(optionsOf({ forwards }));
    expect(await exchange(path, "hello")).toBe("hello");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const taken = await failureOf({ forwards });
    expect(taken).toMatchObject({ code: "forward.port-in-use", leg: "bind" });
    expect(await exchange(path, "still there")).toBe("still there");
    expect(await session.close()).toMatchObject({ failure: undefined, receipt: clean });
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
  });

  it("takes a port that is taken for a reason not to sign", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const { options, ...failure } = await failureOf({ forwards: `${port}:127.0.0.1:9` });
    expect(failure).toMatchObject({ code: "forward.port-in-use", leg: "bind", receipt: clean });
    expect(eventsNamed(options.events, "sign")).toEqual([]);
    server.close();
  });

  it("ends with its ssh or its supervisor, and is clean", async () => {
    for (const victim of ["ssh", "supervisor"] as const) {
      await using session = await deployAndForward(optionsOf());
      for (const pid of (await engineProcesses(host, session.name))[victim]) process.kill(pid, "SIGKILL");
      const { failure, receipt } = await session.closed;
      expect(failure).toMatchObject({ code: "hop.lost", leg: "hop" });
      expect(receipt).toMatchObject(clean);
    }
  });

  it("ends by its lease at the latest when one of its watchers is killed", async () => {
    for (const watcher of [0, 1]) {
      await using session = await deployAndForward(optionsOf({ leaseMs: 3_000 }));
      const { watchers, ssh } = await engineProcesses(host, session.name);
      expect(watchers).toHaveLength(2);
      process.kill(watchers[watcher] ?? 0, "SIGKILL");
      expect((await session.closed).failure).toMatchObject({ code: "hop.lost" });
      await expect.poll(() => stat(`/proc/${ssh[0]}`).catch(() => "gone")).toBe("gone");
    }
  });

  it("ends at its ttl", async () => {
    await using session = await deployAndForward(optionsOf({ ttlMs: 100 }));
    expect(await session.closed).toMatchObject({
      failure: { code: "session.limit-reached" },
      receipt: clean,
    });
  });

  it("that is closed before it is ready leaves nothing", async () => {
    const options = optionsOf();
    const controller = new AbortController();
    const onEvent = ({ event }: { event: string }) => {
      if (event === "engine.ready") controller.abort(new CodedError("canceled", "no more"));
    };
    const starting = deployAndForward({ ...options, signal: controller.signal, onEvent });
    await expect(starting).rejects.toMatchObject({ code: "canceled" });
  });
});

describe("a command of such a session", () => {
  const run = async (argv: string[], stdin = "") => {
    await using session = await deployAndForward(optionsOf());
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const command = session.run(argv, {
      stdin: Readable.from([stdin]),
      stdout,
      stderr,
      environment: { TWO: "a\nb" },
    });
    const exit = await command.ended.finally(() => [stdout, stderr].map((stream) => stream.end()));
    const { receipt } = await session.close();
    return {
      exit,
      stdout: await text(stdout),
      stderr: await text(stderr),
      port: boundPort(session),
      receipt,
    };
  };

  it("has its stdio, its variables and its exit code passed on", async () => {
    const script = 'cat; printf "%s|" "$FARSIDE_PORT_1" "$TWO" "$1"; echo "it is $0" >&2; exit 7';
    const { exit, stdout, stderr, port, receipt } = await run(["sh", "-c", script, "it's", "x\ny"], "in\n");
    expect(exit).toEqual({ exitCode: 7 });
    expect(stdout).toBe(`in\n${port}|a\nb|x\ny|`);
    expect(stderr).toBe("it is it's\n");
    expect(receipt).toMatchObject(clean);
  });

  it("is told from one that is not there, or can't be run", async () => {
    await expect(run(["no-such-command"])).rejects.toMatchObject({ code: "command.not-found" });
    await expect(run(["/etc/passwd"])).rejects.toMatchObject({ code: "command.not-runnable" });
    await expect(run(["a\0b"])).rejects.toMatchObject({ code: "usage.invalid" });
  });

  it("gets signals as a group, and ends with its session, also what it has put behind itself", async () => {
    await using session = await deployAndForward(optionsOf());
    const command = session.run(["sh", "-c", "sleep 600 & sleep 600"]);
    command.kill("SIGINT");
    command.kill("SIGTERM");
    expect(await command.ended).toMatchObject({ exitCode: expect.any(Number) });
    const stubborn = session.run([
      "sh",
      "-c",
      "trap '' TERM; (setsid sleep 600 &); while :; do sleep 0.1; done",
    ]);
    const lost = stubborn.ended.catch((error) => error);
    expect(await session.close({ graceMs: 200 })).toMatchObject({ failure: undefined, receipt: clean });
    await lost;
  });

  it("passes a lot of output on to a slow reader, unchanged", async () => {
    await using session = await deployAndForward(optionsOf());
    const stdout = new PassThrough({ highWaterMark: 1024 });
    const command = session.run(["sh", "-c", "head -c 3000000 /dev/zero"], { stdout });
    let bytes = 0;
    const counted = (async () => {
      for await (const chunk of stdout) bytes += chunk.length;
    })();
    expect(await command.ended).toEqual({ exitCode: 0 });
    stdout.end();
    await counted;
    expect(bytes).toBe(3_000_000);
  });
});

describe("a hop that the jump host's ssh can't log in to", () => {
  it("refuses the key", async () => {
    await using other = await startSshd();
    await host.know(other);
    expect(await failureOf({ via: place(other) })).toMatchObject({
      ...{ code: "hop.auth-refused", leg: "hop", receipt: clean },
      message: expect.stringContaining(place(other)),
    });
  });

  it("is unreachable, also from the hop before it", async () => {
    const gone = await startSshd();
    await host.know(gone);
    await gone[Symbol.asyncDispose]();
    for (const via of [[place(gone)], [place(target), place(gone)]]) {
      expect(await failureOf({ via })).toMatchObject({ code: "hop.unreachable", leg: "hop", receipt: clean });
    }
  });

  it("shows another host key than the declared one, and nothing is signed", async () => {
    await using other = await startSshd({ authorizedKeys: [host.sshd.userKey.line] });
    await host.know(other, target.hostKeys[0]);
    const { options, ...failure } = await failureOf({ via: place(other) });
    expect(failure).toMatchObject({ code: "host-key.changed", leg: "hop", receipt: clean });
    expect(eventsNamed(options.events, "sign")).toEqual([]);
  });

  it("is not known, unless by its fingerprint", async () => {
    await using other = await startSshd({ authorizedKeys: [host.sshd.userKey.line] });
    expect(await failureOf({ via: place(other) })).toMatchObject({ code: "host-key.unknown", leg: "hop" });
    const print = fingerprint(parsePublicKeyLine(other.hostKeys[0]?.line ?? "").blob);
    const session = await deployAndForward(
      optionsOf({ via: place(other), viaHostKeys: [`127.0.0.1=${print}`] }),
    );
    expect(await session.close()).toMatchObject({ failure: undefined, receipt: clean });
    const wrong = fingerprint(parsePublicKeyLine(target.hostKeys[0]?.line ?? "").blob);
    const pinned = { via: place(other), viaHostKeys: [`127.0.0.1=${wrong}`] };
    expect(await failureOf(pinned)).toMatchObject({ code: "host-key.changed", leg: "hop" });
  });
});

describe("a jump host that can't lend the card", () => {
  it("forwards no agent", async () => {
    await using strict = await startJumpHost(undefined, { config: ["AllowAgentForwarding no"] });
    await strict.know(target);
    expect(await failureOf({}, strict)).toMatchObject({
      ...{ code: "engine.forwarding-refused", leg: "jump", receipt: undefined },
      hint: expect.stringContaining("AllowAgentForwarding"),
    });
  });
});

describe("a hop with a post-quantum key exchange only", () => {
  it("is logged in to by the OpenSSH engine", async () => {
    await using modern = await startSshd({
      authorizedKeys: [host.sshd.userKey.line],
      config: ["KexAlgorithms sntrup761x25519-sha512@openssh.com"],
    });
    await host.know(modern);
    await using echo = await startEchoServer();
    const options = optionsOf({ via: place(modern), forwards: `0:127.0.0.1:${echo.port}` });
    await using session = await deployAndForward(options);
    expect(await exchange(boundPort(session), "hello")).toBe("hello");
  });
});

it("is refused where it could only break a wish", async () => {
  const wishes: Partial<ForwardOptions>[] = [
    { via: [] },
    { allowUsers: ["daemon"] },
    { maxRelays: 1 },
    { idleMs: 1_000 },
    { connections: 2 },
    { remoteNode: "/usr/bin/node" },
  ];
  for (const wish of wishes) expect(await failureOf(wish)).toMatchObject({ code: "usage.invalid" });
});
