import { TARGET_LOGIN } from "./farside.ts";

/** Where the lab's workstation has its forwards.yaml. */
export const FILE = "/root/forwards.yaml";
/** Where an installed agent is on the lab's jump host. */
export const FOLDER = "/home/builder/.local/share/farside/agent";

/** A forwards.yaml whose forwards go over the target to its port 4444, as far as they don't say otherwise. JSON is YAML. */
export const fileOf = (...forwards: object[]): string =>
  JSON.stringify({
    defaults: { via: TARGET_LOGIN },
    forwards: forwards.map((each) => ({ target: "localhost:4444", ...each })),
  });
