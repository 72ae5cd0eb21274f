import { CodedError } from "@farside/protocol";
import type { ForwardOptions } from "../../forward-options.ts";

/** Throws `usage.invalid` for what the OpenSSH engine could only break: no wish is silently dropped. Where nothing is forwarded, `--via` may be missing. */
export function checkOpensshOptions(
  options: Omit<ForwardOptions, "forwards">,
  { forwardsSomething }: { readonly forwardsSomething: boolean },
): void {
  if (forwardsSomething && (options.via ?? []).length === 0) {
    throw new CodedError(
      "usage.invalid",
      "--engine openssh needs --via: ssh forwards only through a host that it logs in to",
      {
        hint: "Name the host that can reach the target with --via, or leave out --engine openssh.",
      },
    );
  }
  const asked: readonly (readonly [option: string, isAsked: boolean, why: string])[] = [
    ["--allow-user", (options.allowUsers ?? []).length > 0, "ssh looks at no user: every one may connect"],
    ["--max-relays", (options.maxRelays ?? 0) > 0, "ssh counts no relays"],
    ["--idle", (options.idleMs ?? 0) > 0, "ssh counts no relays"],
    ["--probe", (options.probeMs ?? 0) > 0, "ssh opens what it is asked for and looks at nothing"],
    ["--connections", options.connections !== undefined, "ssh has one connection"],
    ["--take-over", options.takeOver === true, "no agent is there to take it over"],
    ["--reattach", options.reattach === true, "ssh ends with its connection"],
    ["--detach", options.detach === true, "ssh ends with its connection"],
    ["--metrics-port", options.metricsPort !== undefined, "ssh answers nobody's questions"],
    ["--remote-node", options.remoteNode !== undefined, "it needs no Node.js"],
    ["--runtime upload", options.runtime === "upload", "it needs no Node.js"],
    ["--keep-runtime", options.keepRuntime === true, "it needs no Node.js"],
    ["--runtime-file", options.runtimeFile !== undefined, "it needs no Node.js"],
  ];
  const found = asked.find(([, isAsked]) => isAsked);
  if (found === undefined) return;
  throw new CodedError("usage.invalid", `${found[0]} can't be kept with --engine openssh: ${found[2]}`, {
    hint: `Leave out ${found[0]}, or --engine openssh.`,
  });
}
