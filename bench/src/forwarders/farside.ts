import { TARGET } from "@farside/test/lab/lab";
import { cliPath, JUMP_LOGIN, TARGET_LOGIN } from "@farside/test/support/farside";
import { SERVICE_PORT } from "../lab/bench-lab.ts";
import { type Forwarder, whenListening } from "./forwarder.ts";

/** The real thing: the built command on the workstation, the agent in memory on the jump host, the uid check on. */
function farsideWith(name: string, target: string, options: readonly string[]): Forwarder {
  return {
    name,
    command:
      `farside forward builder@jump -L 4444:${target.replace(TARGET, "target")}:5000 ${options.join(" ")}`
        .replace(TARGET_LOGIN, "signer@target")
        .trim(),
    start: (bench) => {
      const port = bench.nextPort();
      const argv = [
        ...[
          "node",
          cliPath,
          "forward",
          JUMP_LOGIN,
          "--identity",
          bench.workstationKey,
          "--log-level",
          "warn",
        ],
        ...["-L", `127.0.0.1:${port}:${target}:${SERVICE_PORT}`, ...options],
      ];
      const { workstation } = bench.lab;
      const process = workstation.spawn(argv);
      process.stdin.end();
      return whenListening(bench, port, process, async () => {
        if (!process.hasEnded) await process.signal("SIGINT").catch(() => {});
        const timer = setTimeout(() => void process.kill(), 15_000);
        await process.exit;
        clearTimeout(timer);
      });
    },
  };
}

export const farsideTcp = farsideWith("farside", TARGET, []);
export const farsideSsh = farsideWith("farside", "localhost", ["--via", TARGET_LOGIN]);
