import { expect } from "vitest";
import type { Host } from "../lab/host.ts";
import type { Residue } from "../lab/host-state.ts";
import { waitFor } from "./wait-for.ts";

const NOTHING: Residue = { processes: [], listeners: [], files: [] };

export function isNothing(residue: Residue): boolean {
  return residue.processes.length + residue.listeners.length + residue.files.length === 0;
}

/** What is on `host` that was not at mark(): nothing, as soon as there is nothing, else what there is after `withinMs`. */
export async function whatStays(host: Host, withinMs = 5_000): Promise<Residue> {
  let residue = await host.residue();
  await waitFor(
    async () => {
      residue = await host.residue();
      return isNothing(residue);
    },
    { what: "nothing left", withinMs, everyMs: 100 },
  ).catch(() => {});
  return residue;
}

/** Passes as soon as nothing is on `host` that was not at mark(); fails with the list of what is after `withinMs`. */
export async function expectNothingLeft(host: Host, withinMs = 5_000): Promise<void> {
  expect(await whatStays(host, withinMs)).toEqual(NOTHING);
}
