import type { Lab } from "./lab.ts";

/** What can be done to a lab that was started by hand, by what is typed. */
const actions: Readonly<Record<string, (lab: Lab, argument: number) => Promise<unknown>>> = {
  "card remove": (lab) => lab.card.remove(),
  "card insert": (lab) => lab.card.insert(),
  "card tries": (lab, tries) => lab.card.setTries(tries),
  "card delay": (lab, ms) => lab.card.setDelay(ms),
  "card state": (lab) => lab.card.counters(),
  "link cut": (lab) => lab.cutWorkstationLink(),
  "link restore": (lab) => lab.restoreWorkstationLink(),
  "link drop": (lab) => lab.blackholeWorkstationLink(),
  "link end-drop": (lab) => lab.endBlackhole(),
};

/** Does what `line` says, e.g. `card tries 3`, and resolves with what to print. Rejects where there is no such thing, and names what there is. */
export async function actOnLab(lab: Lab, line: string): Promise<string> {
  const [, name = line, argument] = /^(\S+ \S+)(?: (\d+))?$/.exec(line) ?? [];
  const act = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (act === undefined) throw new Error(`write one of: ${Object.keys(actions).join(", ")}`);
  const answer = await act(lab, Number(argument ?? 0));
  return answer === undefined ? `${line}: done` : JSON.stringify(answer);
}
