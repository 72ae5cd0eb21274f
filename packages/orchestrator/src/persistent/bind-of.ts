import type { BindAddress } from "@farside/protocol";
import { parseBind } from "../forward-spec.ts";
import type { ForwardContent } from "./forwards-file.ts";

/** Where a forward listens, as forwards.yaml has it. Throws `usage.invalid` for a text that is no address. */
export function bindOf(listen: ForwardContent["listen"]): BindAddress {
  if (typeof listen === "number") return { kind: "loopback", port: listen };
  if (typeof listen === "string") return parseBind(listen);
  if ("socket" in listen) return { kind: "unix", path: listen.socket };
  return listen.address === undefined || listen.address === "localhost"
    ? { kind: "loopback", port: listen.port }
    : { kind: "tcp", address: listen.address, port: listen.port };
}
