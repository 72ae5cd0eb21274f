export { fuzzTargets } from "./fuzz-targets.ts";
