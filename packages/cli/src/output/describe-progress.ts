import type { RuntimeProgress } from "@farside/orchestrator";
import prettyBytes from "pretty-bytes";

const BAR_COLUMNS = 20;

/** What a terminal shows while a Node.js is fetched, packed and sent. */
export function describeProgress({ step, shipment, sent }: RuntimeProgress): string {
  const { name, host, sentBytes, fetchBytes } = shipment;
  if (step === "fetching") return `fetching ${name} from the npm registry (${prettyBytes(fetchBytes)}, once)`;
  if (step === "packing") return `packing ${name} (once)`;
  const share = sentBytes === 0 ? 1 : Math.min(1, sent / sentBytes);
  const full = Math.round(share * BAR_COLUMNS);
  const bar = `${"━".repeat(full)}${"─".repeat(BAR_COLUMNS - full)}`;
  return `sending ${name} to ${host} ${bar} ${Math.floor(share * 100)} % of ${prettyBytes(sentBytes)}`;
}
