import { PassThrough, Readable, Writable } from "node:stream";
import { afterAll, describe, expect, it } from "vitest";
import { deployAndForward } from "./deploy-and-forward.ts";
import { buildAgent } from "./testing/build-agent.ts";
import { startBuiltHost } from "./testing/built-host.ts";
import { boundPort, codeOf } from "./testing/session-probe.ts";

const built = await startBuiltHost(buildAgent);
const { host } = built;
afterAll(() => built[Symbol.asyncDispose]());

/** A stream that keeps what it is given. */
class Sink extends Writable {
  text = "";
  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

describe("a command of a session", () => {
  it("finds the session's name and addresses in its environment", async () => {
    const forwards = ["0:127.0.0.1:9", `${host.sshd.folder.file("s.sock")}:127.0.0.1:9`];
    await using session = await deployAndForward(host.options({ forwards, name: "tea" }));
    const stdout = new Sink();
    const argv = ["sh", "-c", "env | grep ^FARSIDE_ | grep -v -e _RUN= -e _COMMAND= | sort; echo $MORE"];
    const { ended } = session.run(argv, { stdout, environment: { MORE: "more" } });
    expect(await ended).toEqual({ exitCode: 0 });
    expect(stdout.text.split("\n")).toEqual([
      `FARSIDE_ADDRESS_1=127.0.0.1:${boundPort(session)}`,
      `FARSIDE_ADDRESS_2=${host.sshd.folder.file("s.sock")}`,
      `FARSIDE_PORT_1=${boundPort(session)}`,
      "FARSIDE_SESSION=tea",
      "more",
      "",
    ]);
  });

  it("reads its stdin to the end, and writes both outputs", async () => {
    await using session = await deployAndForward(host.options());
    const [stdout, stderr] = [new Sink(), new Sink()];
    const stdin = Readable.from(["one ", "two"]);
    const { ended } = session.run(["sh", "-c", "cat; echo err >&2; exit 3"], { stdin, stdout, stderr });
    expect(await ended).toEqual({ exitCode: 3 });
    expect([stdout.text, stderr.text]).toEqual(["one two", "err\n"]);
  });

  it("reads an end at once where there is no stdin, and runs beside another", async () => {
    await using session = await deployAndForward(host.options());
    const first = session.run(["cat"]);
    const second = session.run(["sleep", "60"]);
    expect(await first.ended).toEqual({ exitCode: 0 });
    second.kill("SIGINT");
    expect(await second.ended).toEqual({ exitCode: 130, signal: "SIGINT" });
  });

  it("gets SIGPIPE where the stream for its output is closed", async () => {
    await using session = await deployAndForward(host.options());
    const stdout = new PassThrough();
    const { ended } = session.run(["cat", "/dev/zero"], { stdout });
    stdout.once("data", () => stdout.destroy());
    expect(await ended).toEqual({ exitCode: 141, signal: "SIGPIPE" });
  });

  it("is killed by its signal", async () => {
    await using session = await deployAndForward(host.options());
    const controller = new AbortController();
    const { ended } = session.run(["sleep", "60"], { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
    const { receipt } = await session.close();
    expect(receipt).toMatchObject({ processes: [], clean: true });
  });

  it("ends with the session, within its grace", async () => {
    await using session = await deployAndForward(host.options());
    const stdout = new Sink();
    const script = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.05; done";
    const { ended } = session.run(["sh", "-c", script], { stdout });
    await expect.poll(() => stdout.text).toBe("up\n");
    const { failure, receipt } = await session.close({ graceMs: 5_000 });
    expect(await ended).toEqual({ exitCode: 4 });
    expect(stdout.text).toBe("up\nbye\n");
    expect([failure, receipt?.clean]).toEqual([undefined, true]);
    expect(() => session.run(["true"])).toThrow(/not ready/);
  });

  it("is lost with its agent, and what is left of it is found and ended", async () => {
    const options = host.options();
    await using session = await deployAndForward(options);
    const stdout = new Sink();
    const { ended } = session.run(["sh", "-c", "echo up; sleep 60"], { stdout });
    await expect.poll(() => stdout.text).toBe("up\n");
    const pid = options.events.flatMap((event) => (event.event === "agent.ready" ? [event.pid] : []))[0] ?? 0;
    process.kill(pid, "SIGKILL");
    expect(await codeOf(ended)).toBe("agent.gone");
    const { failure, receipt } = await session.closed;
    expect(failure?.code).toBe("agent.gone");
    expect(receipt).toMatchObject({ processes: [], clean: true });
  });

  it("that is not there is told so", async () => {
    await using session = await deployAndForward(host.options());
    expect(await codeOf(session.run(["no-such-command"]).ended)).toBe("command.not-found");
    expect(() => session.run([])).toThrow(/can't be run/);
    expect(() => session.run(["a\0b"])).toThrow(/can't be run/);
    expect(() => session.run(["true", "x".repeat(600_000)])).toThrow(/can't be run/);
  });
});
