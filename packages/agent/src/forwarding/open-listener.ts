import type { BindAddress } from "@farside/protocol";
import type { Listener, ListenerOptions } from "./listener.ts";
import { adoptTcpListener, openTcpListener } from "./tcp-listener.ts";
import { adoptUnixListener, openUnixListener } from "./unix-listener.ts";

/** The listener that `bind` asks for; rejects as the listener of its kind does. */
export function openListener(bind: BindAddress, options: ListenerOptions): Promise<Listener> {
  return bind.kind === "unix" ? openUnixListener(bind, options) : openTcpListener(bind, options);
}

/** The listener that another process opened for `bind` and whose sockets are `descriptors` here. */
export function adoptListener(
  bind: BindAddress,
  descriptors: readonly number[],
  options: ListenerOptions,
): Promise<Listener> {
  const [first = -1] = descriptors;
  return bind.kind === "unix"
    ? adoptUnixListener(bind, first, options)
    : adoptTcpListener(descriptors, options);
}
