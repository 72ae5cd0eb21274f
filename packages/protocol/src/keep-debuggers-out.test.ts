import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { listeningPorts } from "./testing/listening-ports.ts";

const module = new URL("./keep-debuggers-out.ts", import.meta.url).href;
const keepOut = `import { keepDebuggersOut } from ${JSON.stringify(module)}; let closed; keepDebuggersOut((url, opener) => { closed = opener; });`;
/** Says what it does whenever it is asked. */
const answers = `process.stdin.on("data", () => console.log(closed));`;

/** A program that has taken `signal` and answered ten times since, and the TCP ports that it then listens on; `untilOpen`: it is asked until there is one. */
async function portsAfter(code: string, { flags = [] as string[], signal = true, untilOpen = false } = {}) {
  const args = ["--import", "tsx", "--conditions=@farside/source", "--inspect-port=0", ...flags];
  const child = spawn(process.execPath, [...args, "--input-type=module", "-e", code], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  try {
    const lines = child.stdout.setEncoding("utf8")[Symbol.asyncIterator]();
    const ask = async () => {
      child.stdin.write("?");
      return String((await lines.next()).value).trim();
    };
    let answer = await ask();
    if (signal) child.kill("SIGUSR1");
    for (let count = 0; count < 10; count += 1) answer = await ask();
    const ports = () => listeningPorts(child.pid ?? 0);
    while (untilOpen && (await ports()).length === 0) await ask();
    return { answer, ports: await ports() };
  } finally {
    child.kill("SIGKILL");
  }
}

test("a process that keeps them out opens no debugger by SIGUSR1, and lives on", async () => {
  expect(await portsAfter(`${keepOut} ${answers}`)).toEqual({ answer: "undefined", ports: [] });
});

test("one that was open already is closed, and told of", async () => {
  const opened = await portsAfter(`${keepOut} ${answers}`, { flags: ["--inspect=0"] });
  expect(opened).toEqual({ answer: "option", ports: [] });
});

test("one that a signal opens because it came too early is closed, too", async () => {
  // As after a start without an option; the signal's own thread opens it only now.
  const early = `process.execArgv.length = 0; delete process.env.NODE_OPTIONS; ${keepOut}
    (await import("node:inspector")).open(0);
    process.stdin.on("data", () => { const timer = setInterval(() => {
      if (closed !== undefined) { clearInterval(timer); console.log(closed); }
    }, 10); });`;
  expect(await portsAfter(early)).toEqual({ answer: "signal", ports: [] });
});

test("without it there is one either way: this test would see it", async () => {
  const plain = `const closed = undefined; ${answers}`;
  const [bySignal, byFlag] = await Promise.all([
    portsAfter(plain, { untilOpen: true }),
    portsAfter(plain, { flags: ["--inspect=0"], signal: false }),
  ]);
  expect([bySignal.ports.length, byFlag.ports.length]).toEqual([1, 1]);
});
