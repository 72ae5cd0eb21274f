import { readFileSync } from "node:fs";

/** Where hosts keep the names of TCP ports; services(5). */
const SERVICES_FILE = "/etc/services";

/** The TCP port that this workstation knows as `name`, as ssh asks getservbyname(3); undefined where it knows none. */
export function servicePort(name: string, file: string = SERVICES_FILE): number | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  for (const line of text.split("\n")) {
    const [official, place, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const port = /^(\d{1,5})\/tcp$/.exec(place ?? "")?.[1];
    if (port !== undefined && [official, ...aliases].includes(name)) return Number(port);
  }
  return undefined;
}
