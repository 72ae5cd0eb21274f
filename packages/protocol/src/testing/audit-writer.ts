/** A process that writes lines to the audit log of a folder as fast as it can, until its stdin ends: `audit-writer.ts FOLDER NAME`. Prints how many. */
import { AuditTrail } from "../audit/audit-trail.ts";

const [, , folder = "", name = ""] = process.argv;
const trail = new AuditTrail({ folder, maxFileBytes: 20_000, maxOlderFiles: 1_000 });
let written = 0;
let isOver = false;
process.stdin.resume().on("end", () => {
  isOver = true;
});
while (!isOver) {
  for (let line = 0; line < 3; line += 1) trail.append({ event: name, line });
  written += 3;
  await trail.flush();
}
const lost = await trail.close(20_000);
process.stdout.write(`${written - lost}\n`);
