import { describeFuzz } from "@farside/protocol/testing";
import { fuzzTargets } from "./testing/fuzz-targets.ts";

describeFuzz(fuzzTargets);
