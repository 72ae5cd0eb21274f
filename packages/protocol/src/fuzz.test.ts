import { describeFuzz } from "./testing/fuzz/index.ts";
import { fuzzTargets } from "./testing/fuzz-targets.ts";

describeFuzz(fuzzTargets);
