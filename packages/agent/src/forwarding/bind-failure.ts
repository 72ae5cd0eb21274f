import { readFile } from "node:fs/promises";
import { CodedError } from "@farside/protocol";
import { formatEndpoint } from "./format-endpoint.ts";
import { holderOfPort } from "./socket-holder.ts";

/** What of a bind's failure the operator can act on; anything else is passed on as the system's words. */
export async function bindFailure(
  address: string,
  port: number,
  error: NodeJS.ErrnoException,
): Promise<CodedError> {
  const attempt = `cannot listen on ${formatEndpoint(address, port)} of the jump host`;
  if (error.code === "EADDRINUSE") {
    const holder = await holderOfPort(address, port);
    return new CodedError(
      "forward.port-in-use",
      `${attempt}: ${holder === undefined ? "somebody else holds the port" : `${holder} holds the port`}`,
      {
        leg: "bind",
        hint: holderHint(holder),
        data: { address, port, ...(holder === undefined ? {} : { holder }), ...agentIn(holder) },
        cause: error,
      },
    );
  }
  const { why, hint } = await explain(port, error);
  return new CodedError("forward.bind-refused", `${attempt}: ${why}`, {
    leg: "bind",
    hint,
    data: { address, port },
    cause: error,
  });
}

/** What to do about a holder: a session's agent can be torn down by its name, one that is installed stays. */
export function holderHint(holder: string | undefined): string {
  const { session, installed } = agentIn(holder);
  if (session !== undefined)
    return `It is an agent of farside: farside teardown ${session}, or take its place with --take-over.`;
  if (installed !== undefined)
    return `It is the installed agent ${installed}, which nobody takes a port from: take the forward out of its forwards.yaml (farside agent apply), or farside agent uninstall.`;
  return "Take another port (0 takes a free one), or end that process.";
}

/** Of which of our agents `holder` is the description. */
function agentIn(holder: string | undefined): { readonly session?: string; readonly installed?: string } {
  const session = holder?.match(/\(farside-agent (\S+)\)/)?.[1];
  if (session !== undefined) return { session };
  const installed = holder?.match(/\(farside-installed (\S+)\)/)?.[1];
  return installed === undefined ? {} : { installed };
}

async function explain(port: number, error: NodeJS.ErrnoException): Promise<{ why: string; hint: string }> {
  switch (error.code) {
    case "EACCES": {
      const first = await firstUnprivilegedPort();
      if (port >= first) break;
      return {
        why: "permission denied",
        hint: `Ports below ${first} need root there (sysctl net.ipv4.ip_unprivileged_port_start): take a higher one.`,
      };
    }
    case "EADDRNOTAVAIL":
      return {
        why: "the jump host has no such address",
        hint: "Leave the bind address out to listen on localhost.",
      };
    case "EMFILE":
    case "ENFILE":
      return { why: "too many open files", hint: "Raise the limit of open files on the jump host." };
  }
  return { why: error.code ?? error.message, hint: "Check the bind address of -L." };
}

/** The first port that needs no root, as this host's kernel has it. */
export async function firstUnprivilegedPort(): Promise<number> {
  const text = await readFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8").catch(() => "");
  return Number.parseInt(text, 10) || 1024;
}
