/** What opened a debugger: an option (NODE_OPTIONS), or SIGUSR1 in the moment before this process took that for itself. */
export type DebuggerOpener = "option" | "signal";

/** By then a signal that came before `keepDebuggersOut` has opened what it opens. */
const LOOK_AGAIN_MS = 100;

/**
 * Keeps Node's debugger out of this process, from now on. It listens on a loopback port and asks nobody who they are: any user of the
 * machine who connects runs code as this process, reads what it holds (a PIN, logged-in connections). SIGUSR1 opens it by default, which
 * anything of this user may send by mistake (`pkill -USR1 node`); `--inspect` in NODE_OPTIONS, meant for another program, has opened it
 * already. `onClosed` is told the address of one that was closed.
 */
export function keepDebuggersOut(
  onClosed: (url: string, opener: DebuggerOpener) => void = () => undefined,
): void {
  process.on("SIGUSR1", () => undefined);
  if (!process.features.inspector) return;
  const close = (opener: DebuggerOpener) => {
    // Not there before 20.16: on a jump host the bootstrap, or the unit of an installed agent, has taken NODE_OPTIONS away.
    const inspector = process.getBuiltinModule?.("node:inspector");
    const url = inspector?.url();
    if (url === undefined) return;
    inspector?.close();
    onClosed(url, opener);
  };
  // Loading it takes a millisecond, for which only a start waits that has to.
  if (process.execArgv.length > 0 || (process.env["NODE_OPTIONS"] ?? "") !== "") close("option");
  setTimeout(close, LOOK_AGAIN_MS, "signal").unref();
}
