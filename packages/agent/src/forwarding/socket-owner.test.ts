import { existsSync } from "node:fs";
import { describe } from "vitest";
import { describeSocketOwners } from "../testing/describe-socket-owners.ts";
import { SockDiagProgram } from "../testing/sock-diag-program.ts";
import { ProcNetOwners } from "./proc-net-owners.ts";
import { SockDiagOwners } from "./sock-diag-owners.ts";

describeSocketOwners("/proc", () => new ProcNetOwners());

describe.runIf(existsSync("/usr/bin/perl"))("with perl", () => {
  describeSocketOwners(
    "sock_diag through a helper",
    () => new SockDiagOwners({ environment: {}, answerTimeoutMs: 30_000 }),
  );
  describeSocketOwners("a sock_diag socket of its own", () => new SockDiagProgram());
});
