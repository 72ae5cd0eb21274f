import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { buffer, text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { CodedError } from "@farside/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Hop } from "./hop.ts";
import { failureOf } from "./testing/failure-of.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { program } from "./testing/program.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";
import { tcpServer } from "./testing/tcp-server.ts";

let sshd: Sshd;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

async function connected(): Promise<Hop> {
  return Hop.connect(await hopOptionsFor(sshd, { requireSignature: true }));
}

describe("a connected hop", () => {
  test("knows the host key that it accepted and has a name for messages", async () => {
    await using hop = await connected();
    expect(Buffer.from(hop.serverHostKey)).toEqual(Buffer.from(sshd.hostKeys[0]?.publicKey.blob ?? []));
    expect(hop.name).toBe(`${sshd.user}@127.0.0.1 port ${sshd.port}`);
  });

  test("passes a command's stdin, stdout, stderr and exit status", async () => {
    await using hop = await connected();
    const command = await hop.exec("cat; echo oops >&2; exit 7");
    command.end("hello");
    expect(await text(command)).toBe("hello");
    expect(await command.exit).toEqual({ code: 7, signal: null });
    expect(command.stderr.text()).toBe("oops\n");
    expect(command.stderr.isTruncated).toBe(false);
  });

  test("reports the signal that ended a command", async () => {
    await using hop = await connected();
    const command = await hop.exec("kill -TERM $$");
    command.resume();
    expect(await command.exit).toEqual({ code: null, signal: "SIGTERM" });
  });

  test("keeps the first 32 KiB of stderr and hands every byte to the callback", async () => {
    await using hop = await connected();
    let seen = 0;
    const command = await hop.exec("head -c 100000 /dev/zero >&2", {
      onStderr: (chunk) => {
        seen += chunk.length;
      },
    });
    command.resume();
    await command.exit;
    expect(command.stderr.text()).toHaveLength(32 * 1024);
    expect(command.stderr.isTruncated).toBe(true);
    expect(seen).toBe(100_000);
  });

  test("carries megabytes both ways at once, unchanged", async () => {
    await using hop = await connected();
    const command = await hop.exec("cat");
    const sent = randomBytes(8 * 1024 * 1024);
    const [received] = await Promise.all([buffer(command), pipeline([sent], command)]);
    expect(sha256(received)).toBe(sha256(sent));
  });

  test("holds a sender back while nobody reads", async () => {
    await using hop = await connected();
    const command = await hop.exec("head -c 50000000 /dev/zero; echo sent >&2");
    await once(command, "readable");
    // The host's window (2 MiB) and our read-ahead are full long before the command can have written everything.
    expect(command.stderr.text()).toBe("");
    expect(command.readableLength).toBeLessThan(1024 * 1024);
    expect((await buffer(command)).length).toBe(50_000_000);
    await command.exit;
    expect(command.stderr.text()).toBe("sent\n");
  });

  test("dials a TCP target and keeps each direction open by itself", async () => {
    await using target = await tcpServer((socket) => {
      socket.on("end", () => socket.end("after your end"));
      socket.resume();
    });
    await using hop = await connected();
    const stream = await hop.dial("127.0.0.1", target.port);
    stream.end("request");
    expect(await text(stream)).toBe("after your end");
  });

  test("reads a target's end while it goes on writing", async () => {
    let received = "";
    await using target = await tcpServer((socket) => {
      socket.on("data", (chunk) => {
        received += chunk;
      });
      socket.end("bye");
    });
    await using hop = await connected();
    const stream = await hop.dial("127.0.0.1", target.port);
    // Not by `text`, which destroys what it has read to the end.
    let answer = "";
    stream.on("data", (chunk) => {
      answer += chunk;
    });
    await once(stream, "end");
    expect(answer).toBe("bye");
    const [socket] = target.sockets;
    const ended = socket && once(socket, "end");
    stream.end("still here");
    await ended;
    expect(received).toBe("still here");
  });

  test("closes the target's socket when a dialled stream is destroyed", async () => {
    await using target = await tcpServer((socket) => socket.resume());
    await using hop = await connected();
    const stream = await hop.dial("127.0.0.1", target.port);
    stream.write("x");
    await expect.poll(() => target.sockets.size).toBe(1);
    const [socket] = target.sockets;
    const ended = socket && once(socket, "end");
    stream.destroy();
    await ended;
    expect(stream.destroyed).toBe(true);
  });

  test("delivers everything that a target sent before it closed, and then closes", async () => {
    const answer = randomBytes(1024 * 1024);
    await using target = await tcpServer((socket) => {
      socket.write(answer);
      socket.end();
      socket.on("end", () => socket.destroy());
      socket.resume();
    });
    await using hop = await connected();
    const stream = await hop.dial("127.0.0.1", target.port);
    const closed = once(stream, "close");
    stream.end();
    expect(sha256(await buffer(stream))).toBe(sha256(answer));
    await closed;
    expect(stream.destroyed).toBe(true);
  });

  test("closes a command's stream when the command has ended and is read to its end, though its stdin is open", async () => {
    await using hop = await connected();
    const command = await hop.exec("echo out");
    expect(await command.exit).toEqual({ code: 0, signal: null });
    expect(command.destroyed).toBe(false);
    const closed = once(command, "close");
    expect(String(command.read())).toBe("out\n");
    command.resume();
    await closed;
    expect(command.destroyed).toBe(true);
  });

  test("dials a unix socket", async () => {
    const path = sshd.folder.file("target.sock");
    await using target = await tcpServer((socket) => socket.end("from a socket"), { path });
    await using hop = await connected();
    const stream = await hop.dialUnix(path);
    stream.end();
    expect(await text(stream)).toBe("from a socket");
    expect(target.port).toBe(0);
  });

  test("says that a target refuses, and which", async () => {
    const target = await tcpServer(() => {});
    await target[Symbol.asyncDispose]();
    await using hop = await connected();
    const error = await failureOf(hop.dial("127.0.0.1", target.port));
    expect(error).toMatchObject({ code: "target.unreachable", leg: "target" });
    expect(error.message).toContain(`dialling 127.0.0.1:${target.port} from ${hop.name}`);
    expect(error.message).toContain("Connection refused");
  });

  test("gives up a dial at its deadline and at its signal", async () => {
    await using hop = await connected();
    // 192.0.2.0/24 is nobody's; where there is no route at all the refusal comes before the deadline.
    const late = await failureOf(hop.dial("192.0.2.1", 9, { timeoutMs: 50 }));
    expect(["timeout", "target.unreachable"]).toContain(late.code);
    const reason = new CodedError("canceled", "enough");
    expect(await failureOf(hop.dial("192.0.2.1", 9, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });
});

describe("the end of a hop", () => {
  test("close ends streams and pending calls with hop.lost, and later ones too", async () => {
    await using target = await tcpServer(() => {});
    const hop = await connected();
    const stream = await hop.dial("127.0.0.1", target.port);
    const failed = once(stream, "error");
    const pending = failureOf(hop.exec("true"));
    await hop.close();
    await hop.close();
    expect(await hop.closed).toBeUndefined();
    expect((await failed)[0]).toMatchObject({ code: "hop.lost" });
    expect(await pending).toMatchObject({ code: "hop.lost" });
    expect(await failureOf(hop.exec("true"))).toMatchObject({ code: "hop.lost", leg: "jump" });
  });

  test("abort ends everything with the given reason", async () => {
    const hop = await connected();
    const command = await hop.exec("cat");
    const failed = once(command, "error");
    const reason = new CodedError("canceled", "the session ends");
    hop.abort(reason);
    expect(await hop.closed).toBe(reason);
    expect((await failed)[0]).toBe(reason);
    expect(await command.exit).toEqual({ code: null, signal: null });
    expect(await failureOf(hop.dial("127.0.0.1", 1))).toBe(reason);
    await hop.close();
  });

  test("a host that drops the connection is a loss, not an end of data", async () => {
    const hop = await connected();
    const command = await hop.exec("cat");
    const failed = once(command, "error");
    const parent = await hop.exec("ps -o ppid= -p $$");
    await program("kill", ["-9", (await text(parent)).trim()]);
    expect(await hop.closed).toMatchObject({ code: "hop.lost", leg: "jump" });
    expect((await failed)[0]).toMatchObject({ code: "hop.lost" });
    await hop.close();
  });

  test("a host that stops answering is lost after three unanswered keepalives", async () => {
    const hop = await Hop.connect(await hopOptionsFor(sshd, { keepaliveIntervalMs: 250 }));
    const parent = await hop.exec("ps -o ppid= -p $$");
    const pid = (await text(parent)).trim();
    await program("kill", ["-STOP", pid]);
    try {
      const reason = await hop.closed;
      expect(reason).toMatchObject({ code: "hop.lost" });
      expect(reason?.message).toContain("the host stopped answering");
    } finally {
      await program("kill", ["-KILL", pid]);
    }
    await hop.close();
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
