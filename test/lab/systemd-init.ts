import { existsSync } from "node:fs";
import { join } from "node:path";

/** Where the machine has the unified control groups; beside the old ones, or alone. */
function unifiedCgroups(): string {
  const place = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
    existsSync(join(path, "cgroup.controllers")),
  );
  if (place === undefined)
    throw new Error("systemd in a lab host needs cgroup v2, and this machine has none");
  return place;
}

/**
 * Runs a command in a control group of its own (systemd wants one), until its input ends or this machine's end of it goes:
 * then it is killed, and the group is removed. It has its own namespaces, so that everything in it ends with it.
 */
const KEEPER = `
group=$1
shift
mkdir "$group" || exit 1
exec 3<&0
(echo $BASHPID > "$group/cgroup.procs" && exec "$@") < /dev/null 3<&- &
child=$!
(cat <&3 > /dev/null; kill -KILL $child) > /dev/null 2>&1 &
watcher=$!
# Whoever reads what this shell says of a killed child may be gone, and that would end it here.
exec 3<&- > /dev/null 2>&1
wait $child
# By its pid: it may have ended by itself, and the other end may be open still.
kill $watcher $(cat /proc/$watcher/task/$watcher/children) 2> /dev/null
for _ in $(seq 100); do
  [ -d "$group" ] || exit 0
  find "$group" -depth -type d -exec rmdir {} + 2> /dev/null || sleep 0.05
done
exit 1
`;

/** The command line that runs `command` as a systemd host's; `folder` is the host's own and makes its name unique. */
export function underSystemdKeeper(folder: string, command: readonly string[]): string[] {
  const group = join(unifiedCgroups(), folder.replaceAll("/", "-").replace(/^-/, ""));
  return ["bash", "-c", KEEPER, "lab-keeper", group, ...command];
}
