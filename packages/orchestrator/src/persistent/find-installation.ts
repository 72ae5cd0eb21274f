import { CodedError, type HostLook, type Installation } from "@farside/protocol";

/** The agent `name` among those that are installed. Throws `agent.not-installed`. */
export function findInstallation(
  { installed }: Pick<HostLook, "installed">,
  name: string,
  host: string,
): Installation {
  const found = installed.find((each) => each.name === name);
  if (found !== undefined) return found;
  const others = installed.map((each) => each.name).join(", ");
  throw new CodedError(
    "agent.not-installed",
    `looking for the agent ${name} on ${host}: none is installed under that name`,
    {
      leg: "jump",
      hint:
        others === ""
          ? "farside agent install puts one there."
          : `Installed are: ${others}. --name says which one is meant.`,
    },
  );
}

/** Its control socket; throws `agent.gone` where it does not run. */
export function controlOf({ name, folder, isRunning, state }: Installation, host: string): string {
  if (isRunning) return `${folder}/control.sock`;
  throw new CodedError("agent.gone", `talking to the agent ${name} on ${host}: it does not run (${state})`, {
    leg: "jump",
    hint: "farside agent logs shows why; farside agent install puts it there anew.",
  });
}
