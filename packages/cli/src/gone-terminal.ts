import { closeSync } from "node:fs";
import { isatty } from "node:tty";

/**
 * Keeps this process from dying of SIGSEGV, with a core dump, at its end where a terminal that it began with was closed meanwhile: Node.js
 * gives each its first modes back, and takes it for a bug of its own where that can't be done. What is closed it leaves alone.
 */
export function outliveTerminal(): void {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  process.on("exit", () => {
    for (const descriptor of terminals) if (!isatty(descriptor)) closeQuietly(descriptor);
  });
}

function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // Closed already.
  }
}
