import { forwardPhases } from "@farside/protocol";
import { Counter, Gauge, Registry } from "prom-client";
import type { AgentFacts } from "./answer-requests.ts";

/** An agent's metrics in Prometheus's text format: its forwards' states and counters, and its own process. */
export class AgentMetrics {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #update: (() => void)[] = [];

  constructor(facts: () => AgentFacts) {
    this.contentType = this.#registry.contentType;
    this.#gauge("farside_agent_info", "What the agent is; always 1.", ["name", "version"], (set) => {
      const { name, version } = facts();
      set({ name, version }, 1);
    });
    this.#gauge("farside_agent_uptime_seconds", "Since the agent's start.", [], (set) =>
      set({}, facts().uptimeMs / 1000),
    );
    this.#gauge("farside_agent_resident_memory_bytes", "Memory of the agent's process.", [], (set) =>
      set({}, process.memoryUsage.rss()),
    );
    this.#counter("farside_agent_events_dropped_total", "Events that nobody was told.", [], (set) =>
      set({}, facts().eventsDropped),
    );
    this.#gauge(
      "farside_forward_state",
      "1 for the state that a forward is in.",
      ["forward", "state"],
      (set) => {
        for (const { forwardId: forward, state } of facts().forwards)
          for (const phase of forwardPhases) set({ forward, state: phase }, state.phase === phase ? 1 : 0);
      },
    );
    this.#gauge("farside_forward_open_relays", "Connections that are open.", ["forward"], (set) => {
      for (const { forwardId: forward, openRelays } of facts().forwards) set({ forward }, openRelays);
    });
    this.#counter("farside_forward_relays_total", "Connections so far.", ["forward"], (set) => {
      for (const { forwardId: forward, totalRelays } of facts().forwards) set({ forward }, totalRelays);
    });
    this.#counter(
      "farside_forward_refused_total",
      "Connections that were not admitted.",
      ["forward"],
      (set) => {
        for (const { forwardId: forward, refusedRelays } of facts().forwards) set({ forward }, refusedRelays);
      },
    );
    const bytes = "Bytes of connections: in is client to target.";
    this.#counter("farside_forward_bytes_total", bytes, ["forward", "direction"], (set) => {
      for (const { forwardId: forward, bytesIn, bytesOut } of facts().forwards) {
        set({ forward, direction: "in" }, bytesIn);
        set({ forward, direction: "out" }, bytesOut);
      }
    });
  }

  /** The metrics as they are now. */
  text(): Promise<string> {
    for (const update of this.#update) update();
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, labelNames: string[], fill: Fill): void {
    const gauge = new Gauge({ name, help, labelNames, registers: [this.#registry] });
    this.#update.push(() => {
      gauge.reset();
      fill((labels, value) => gauge.set(labels, value));
    });
  }

  #counter(name: string, help: string, labelNames: string[], fill: Fill): void {
    const counter = new Counter({ name, help, labelNames, registers: [this.#registry] });
    this.#update.push(() => {
      // What is counted is counted where it happens.
      counter.reset();
      fill((labels, value) => counter.inc(labels, value));
    });
  }
}

type Fill = (set: (labels: Record<string, string>, value: number) => void) => void;
