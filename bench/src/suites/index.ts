import { bulkSsh, bulkTcp } from "./bulk.ts";
import { connectionsSsh, connectionsTcp } from "./connections.ts";
import { controlChannel } from "./control-channel.ts";
import { far } from "./far.ts";
import { idleSsh, idleTcp } from "./idle.ts";
import { latencySsh, latencyTcp } from "./latency.ts";
import { slowReader } from "./slow-reader.ts";
import { startUp } from "./start-up.ts";
import type { Suite } from "./suite.ts";

/** In the order in which they run and are reported. */
export const suites: readonly Suite[] = [
  bulkSsh,
  bulkTcp,
  far,
  connectionsSsh,
  connectionsTcp,
  latencySsh,
  latencyTcp,
  idleSsh,
  idleTcp,
  slowReader,
  startUp,
  controlChannel,
];
