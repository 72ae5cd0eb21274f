import type { End, Script, Step } from "./script.ts";
import { type Size, scriptsOf } from "./scripts.ts";
import type { Shape } from "./shape.ts";

/** Sockets have no timers of their own that a longer silence could run into. */
const SOCKET_SILENCE_MS = 20_000;

/** The scripts that make sense where client and service are connected as `shape` says. */
export function scriptsForShape(shape: Shape, size: Size): readonly Script[] {
  if (shape.client === "tcp" && shape.service === "tcp") return scriptsOf(size);
  const silenceMs = Math.min(size.silenceMs, SOCKET_SILENCE_MS);
  return (
    scriptsOf({ ...size, silenceMs })
      // Linux connects to a socket at once, or not at all.
      .filter(({ isServiceSlow }) => isServiceSlow !== true || shape.service === "tcp")
      .map((script) => withoutResets(script, shape))
  );
}

/** An end on a socket that would reset goes away instead: a socket knows nothing harder. */
function withoutResets(script: Script, shape: Shape): Script {
  const isReplaced = (end: End): boolean =>
    shape[end] === "unix" && script[end]?.some(({ do: what }) => what === "reset") === true;
  const replaced = (steps: readonly Step[]): Step[] =>
    steps.map((step) => (step.do === "reset" ? { do: "close" } : step));
  const { name, client, service } = script;
  return {
    ...script,
    name: isReplaced("client") || isReplaced("service") ? name.replace("resets", "goes away") : name,
    client: isReplaced("client") ? replaced(client) : client,
    service: isReplaced("service") && service !== undefined ? replaced(service) : service,
  };
}
