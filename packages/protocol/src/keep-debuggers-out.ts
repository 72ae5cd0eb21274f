/**
 * Keeps Node's debugger out of this process, from now on. It listens on a loopback port and asks nobody who they are: any user of the
 * machine who connects runs code as this process, reads what it holds (a PIN, logged-in connections). SIGUSR1 opens it by default, which
 * anything of this user may send by mistake (`pkill -USR1 node`); `--inspect` in NODE_OPTIONS, meant for another program, has opened it
 * already. Returns the address of one that it closed.
 */
export function keepDebuggersOut(): string | undefined {
  process.on("SIGUSR1", () => undefined);
  // Loading it takes a millisecond.
  const mayBeOpen = process.execArgv.length > 0 || (process.env["NODE_OPTIONS"] ?? "") !== "";
  if (!mayBeOpen || !process.features.inspector) return undefined;
  // Not there before 20.16: on a jump host the bootstrap, or the unit of an installed agent, has taken NODE_OPTIONS away.
  const inspector = process.getBuiltinModule?.("node:inspector");
  const url = inspector?.url();
  if (url !== undefined) inspector?.close();
  return url;
}
