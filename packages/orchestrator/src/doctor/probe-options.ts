import type { ForwardSpec } from "../forward-spec.ts";
import type { Check } from "./check.ts";

/** What a diagnosis wants to know of a jump host, whatever would forward there. */
export interface ProbeOptions {
  readonly forwards: readonly ForwardSpec[];
  /** `--respect-sshd-policy`: what sshd forbids is a failure. */
  readonly respectSshdPolicy: boolean;
  readonly onCheck: (check: Check) => void;
}
