import type { BindAddress } from "@farside/protocol";
import type { Listener, ListenerOptions } from "./listener.ts";
import { openTcpListener } from "./tcp-listener.ts";
import { openUnixListener } from "./unix-listener.ts";

/** The listener that `bind` asks for; rejects as the listener of its kind does. */
export function openListener(bind: BindAddress, options: ListenerOptions): Promise<Listener> {
  return bind.kind === "unix" ? openUnixListener(bind, options) : openTcpListener(bind, options);
}
