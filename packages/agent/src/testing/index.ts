export { fuzzTargets } from "./fuzz-targets.ts";
export { checkRelays } from "./relay-scripts/check-relays.ts";
export { type RelayRouteKind, relayRoute, relayRouteKinds } from "./relay-scripts/relay-route.ts";
