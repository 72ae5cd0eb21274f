export { type ForgeOptions, type ForgeReport, forgeMany } from "./forge-many.ts";
export { fuzzTargets } from "./fuzz-targets.ts";
