import type { Log } from "../log.ts";
import type { ConnectHop } from "./shared-hop.ts";

/** `connect`, with a line in the log for each hop that has no data path: why relays over it are slower than they could be. */
export function tellSlowWay(connect: ConnectHop, log: Pick<Log, "warn">): ConnectHop {
  return async (...args) => {
    const hop = await connect(...args);
    const { name, noDataPath: why } = hop;
    if (why !== undefined) log.warn("relays over this hop take the slow way", { hop: name, why });
    return hop;
  };
}
