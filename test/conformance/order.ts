import type { Address } from "./address.ts";
import type { Sight, Step } from "./script.ts";

/** What the controller tells a player program, one JSON line each. `run` is a number of the controller's. */
export type Order =
  | {
      readonly run: number;
      readonly play: "client";
      readonly to: Address;
      readonly steps: readonly Step[];
      readonly connections: number;
      readonly atOnce: number;
    }
  | {
      readonly run: number;
      readonly play: "service";
      readonly at: Address;
      readonly steps: readonly Step[];
      readonly connections: number;
    }
  /** The gate opens. */
  | { readonly run: number; readonly play: "on" }
  /** No more connections are waited for. */
  | { readonly run: number; readonly play: "enough" };

/** What it says, one JSON line each. */
export type Word =
  | { readonly run: number; readonly is: "listening" }
  | { readonly run: number; readonly is: "at gate" }
  /** Every connection is over, or `enough` was said. */
  | { readonly run: number; readonly is: "done"; readonly sights: readonly Sight[] };
