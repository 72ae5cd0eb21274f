import { resolve } from "node:path";
import * as v from "valibot";
import type { ForwardOptions } from "./forward-options.ts";

/** What is kept of how a session logged in to its jump host, so that a later look needs none of it again. No secrets. */
export const sessionLogin = v.object({
  /** `-J` */
  jumps: v.optional(v.array(v.string())),
  /** `-F`, absolute or `none`. */
  configFile: v.optional(v.string()),
  /** `-o` */
  sshOptions: v.optional(v.record(v.string(), v.string())),
  knownHostsFiles: v.optional(v.array(v.string())),
  hostKeyCheck: v.optional(v.picklist(["strict", "ask", "accept-new"])),
  /** How to open the identity again, in the words of whoever opened it. */
  identity: v.optional(v.record(v.string(), v.string())),
});
export type SessionLogin = v.InferOutput<typeof sessionLogin>;

/** What of a session's options its record keeps; paths from now on independent of the working directory. */
export function loginOf(options: ForwardOptions): SessionLogin {
  const { jumps, configFile, sshOptions, knownHostsFiles, hostKeyCheck, identity, identityNote } = options;
  return {
    jumps: typeof jumps === "string" ? [jumps] : jumps && [...jumps],
    configFile: configFile === "none" ? configFile : configFile && resolve(configFile),
    sshOptions: sshOptions && { ...sshOptions },
    knownHostsFiles: knownHostsFiles?.map((file) => resolve(file)),
    hostKeyCheck,
    identity: identityNote ?? noteOf(identity),
  };
}

function noteOf(identity: ForwardOptions["identity"]): Record<string, string> | undefined {
  if (typeof identity !== "string") return undefined;
  const isName = identity === "agent" || identity.startsWith("~/");
  return { identity: isName ? identity : resolve(identity) };
}
