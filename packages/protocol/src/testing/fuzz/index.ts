export { describeFuzz } from "./describe-fuzz.ts";
export { type FuzzOptions, type FuzzReport, type FuzzTarget, fuzz } from "./fuzz.ts";
export { SeededRandom } from "./seeded-random.ts";
