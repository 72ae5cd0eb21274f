import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { within } from "./within.ts";

/** Whether tests can have a second user: only root can be one. */
export const hasOtherUsers = process.getuid?.() === 0;

/** A uid that is not ours: nobody's. */
export const NOBODY = 65_534;

export interface OtherUsersProgram extends AsyncDisposable {
  readonly child: ChildProcess;
  /** The next line that it prints. */
  line(): Promise<string>;
}

/** Runs a Node.js program (CommonJS text) as the user `uid`; needs root. It prints lines and is killed at the end. */
export function runAs(uid: number, program: string): OtherUsersProgram {
  const child = spawn(process.execPath, ["-e", program], {
    uid,
    gid: uid,
    stdio: ["ignore", "pipe", "inherit"],
    cwd: "/",
    env: {},
  });
  const lines: string[] = [];
  let rest = "";
  let wake = () => {};
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    wake();
  });
  const ended = once(child, "exit");
  return {
    child,
    async line() {
      while (lines.length === 0) {
        const more = new Promise<void>((resolve) => {
          wake = resolve;
        });
        await within(more, () => "the other user's program printed nothing");
      }
      return lines.shift() ?? "";
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/**
 * A program that connects, prints `open`, and then what becomes of the connection: bytes, `end` or an error's code. One that is
 * reset as soon as it is accepted was open too, but on a busy machine Node.js hears of the reset only.
 */
export function clientProgram(port: number, host = "127.0.0.1"): string {
  return `const s = require("net").connect(${port}, ${JSON.stringify(host)});
s.on("connect", () => { console.log("open"); s.write("bytes of another user"); });
s.on("data", (d) => console.log("data " + d));
s.on("end", () => console.log("end"));
s.on("error", (e) => {
  if (e.code === "ECONNRESET" && e.syscall === "connect") console.log("open");
  console.log(e.code);
});`;
}
