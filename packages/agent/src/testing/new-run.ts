import { randomBytes } from "node:crypto";

/**
 * The nonce of a deploy (`FARSIDE_RUN`), another each time: whoever ends an agent ends every process that carries its nonce, and tests
 * in other files, and other checkouts, run at the same time.
 */
export function newRun(): string {
  return randomBytes(16).toString("hex");
}
