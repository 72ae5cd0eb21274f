/** `scripts/demo`: the main job on real hosts. Exit 0 only where everything was as promised. */
import { endInterrupted } from "./interrupt.ts";
import { labDemo } from "./lab-demo.ts";
import { plainDemo } from "./plain-demo.ts";
import { say } from "./show.ts";

// What the demo has started ends with this process.
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 143],
] as const) {
  process.once(signal, () => {
    void endInterrupted().finally(() => {
      say("\nStopped; nothing of it stays.");
      process.exit(code);
    });
  });
}

const started = performance.now();
const isKept = process.getuid?.() === 0 ? await labDemo() : await plainDemo();
say(
  `\n${isKept ? "As promised" : "NOT as promised"}, in ${((performance.now() - started) / 1e3).toFixed(1)} s.`,
);
process.exit(isKept ? 0 : 1);
