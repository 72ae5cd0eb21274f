import { readFile } from "node:fs/promises";
import type { Host } from "./host.ts";
import { execIn } from "./lab-process.ts";

/** A folder on each file system of a host where something may be written; homes and /var/tmp are on one. */
const PLACES = ["/var/tmp", "/tmp", "/dev/shm", "/run"] as const;
const FILLER = ".lab-filler";
/** What a tmpfs has where no size is asked for. */
const USUAL_SIZE = "50%";
const ROOM_KB = 64;
/** Names each folder of a login that takes a byte. */
const WRITABLE =
  'for f in "$HOME" /tmp /var/tmp /dev/shm; do echo x > "$f/.lab-byte" && echo "$f"; rm -f "$f/.lab-byte"; done';

/**
 * Leaves no room on any file system of `host`. They are in memory, and may be as large as half of it: each is first made as small
 * as what is on it. Rejects where the host's user could still write a byte.
 */
export async function fillDisks(host: Host): Promise<void> {
  for (const place of PLACES) {
    const used = Number((await host.run(["df", "--output=used", "-k", place])).split("\n")[1]);
    await resize(host, place, `${used + ROOM_KB}k`);
    await host.exec(["dd", "if=/dev/zero", `of=${place}/${FILLER}`, "bs=4k"]);
  }
  const { stdout } = await host.exec(["sh", "-c", WRITABLE], { user: host.user });
  if (stdout !== "") throw new Error(`there is room left on ${host.name}: ${stdout.trim()}`);
}

export async function emptyDisks(host: Host): Promise<void> {
  for (const place of PLACES) {
    await host.run(["rm", "-f", `${place}/${FILLER}`]);
    await resize(host, place, USUAL_SIZE);
  }
}

async function resize(host: Host, place: (typeof PLACES)[number], size: string): Promise<void> {
  // Without a note in /run.
  const remount = ["mount", "--no-mtab", "-o", `remount,size=${size}`];
  if (place !== "/var/tmp") return void (await host.run([...remount, place]));
  // What the host's root is laid over can only be seen from outside of it, by the process that waits for its init.
  const status = await readFile(`/proc/${host.initPid}/status`, "utf8");
  const outside = /^PPid:\s+(\d+)/m.exec(status)?.[1] ?? "";
  const mounts = await readFile(`/proc/${outside}/mountinfo`, "utf8");
  const layers = /^(?:\S+ ){4}(\S+) .* - tmpfs layers /m.exec(mounts)?.[1];
  if (layers === undefined) throw new Error(`${host.name} is laid over nothing`);
  const { code, stderr } = await execIn(
    ["nsenter", "--target", outside, "--mount", "--"],
    [...remount, layers],
  );
  if (code !== 0) throw new Error(`${layers} of ${host.name}: ${stderr}`);
}
