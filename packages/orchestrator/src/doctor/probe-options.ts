import type { ForwardSpec } from "../forward-spec.ts";
import type { Check } from "./check.ts";

/** What a diagnosis wants to know of a jump host, whatever would forward there. */
export interface ProbeOptions {
  readonly forwards: readonly ForwardSpec[];
  /** Loopback port that `forward` would answer for its metrics on; 0 takes a free one. */
  readonly metricsPort?: number | undefined;
  /** `--respect-sshd-policy`: what sshd forbids is a failure. */
  readonly respectSshdPolicy: boolean;
  readonly onCheck: (check: Check) => void;
}
