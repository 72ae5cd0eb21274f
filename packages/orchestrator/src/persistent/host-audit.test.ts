import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { verifyAudit } from "@farside/protocol/audit";
import { expect, test } from "vitest";
import { knownHostPlaces, noteHostAudit, noteInstalled } from "./host-audit.ts";

test("what was seen of a host's log is kept in the workstation's own chain, by host and agent", async () => {
  const root = await mkdtemp(join(tmpdir(), "farside-audit-"));
  try {
    const [one, two] = [
      { seq: 3, hash: "a".repeat(64) },
      { seq: 9, hash: "b".repeat(64) },
    ];
    await noteHostAudit({ host: "b@build", agent: "sign" }, one, root);
    await noteHostAudit({ host: "b@build", agent: "other" }, one, root);
    await noteHostAudit({ host: "b@build", agent: "sign" }, two, root);
    expect(await knownHostPlaces({ host: "b@build", agent: "sign" }, root)).toEqual([one, two]);
    expect(await knownHostPlaces({ host: "c@build", agent: "sign" }, root)).toEqual([]);
    // An agent that is installed anew begins another log.
    await noteInstalled({ host: "b@build", agent: "sign" }, "c".repeat(64), root);
    expect(await knownHostPlaces({ host: "b@build", agent: "sign" }, root)).toEqual([]);
    expect(await knownHostPlaces({ host: "b@build", agent: "other" }, root)).toEqual([one]);
    await noteHostAudit({ host: "b@build", agent: "sign" }, one, root);
    expect(await knownHostPlaces({ host: "b@build", agent: "sign" }, root)).toEqual([one]);
    expect(await verifyAudit(root)).toMatchObject({ lines: 5, findings: [] });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
