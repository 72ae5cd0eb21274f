import { afterAll, beforeAll, expect, test } from "vitest";
import { plain } from "../demo/show.ts";
import { type Lab, startLab } from "../lab/lab.ts";
import { inetAddress } from "../lab/proc-net.ts";
import { exchangeBytes, receivedBy, reportsOf, sentBy, startByteService } from "./byte-traffic.ts";
import { describeLab } from "./describe-lab.ts";
import { CTRL_C, Terminal } from "./pty.ts";
import { Trace, writingCalls } from "./strace.ts";
import { waitFor } from "./wait-for.ts";

test("addresses of /proc/net are read as people write them", () => {
  expect(inetAddress("0100007F:115C")).toBe("127.0.0.1:4444");
  expect(inetAddress("00000000000000000000000001000000:115C")).toBe("[::1]:4444");
  expect(inetAddress("000080FE00000000FF005450E56FC7FE:0016")).toBe("[fe80:0:0:0:5054:ff:fec7:6fe5]:22");
});

test("of a trace, calls that write are told from calls that read and calls that failed", () => {
  const written = [
    '11 openat(AT_FDCWD, "/home/builder/x", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3',
    '11 mkdir("/tmp/x", 0777) = 0',
    '11 openat(AT_FDCWD, "/etc/passwd", O_RDWR|O_CLOEXEC) = 3',
  ];
  const inTwoLines = [
    '11 openat(AT_FDCWD, "/tmp/x", O_WRONLY|O_CREAT, 0666 <unfinished ...>',
    '12 openat(AT_FDCWD, "/etc/passwd", O_RDONLY <unfinished ...>',
    "11 <... openat resumed>)             = 3",
    "12 <... openat resumed>)             = 4",
    '13 unlink("/tmp/x" <unfinished ...>',
    "13 <... unlink resumed>)             = -1 ENOENT (No such file or directory)",
  ];
  const others = [
    '11 openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3',
    '11 openat(AT_FDCWD, "/etc/x", O_WRONLY|O_CREAT, 0666) = -1 EACCES (Permission denied)',
    '11 open("/dev/null", O_RDWR) = 4',
    "11 +++ exited with 0 +++",
  ];
  expect(writingCalls([...written, ...others].join("\n"))).toEqual(written);
  expect(writingCalls(inTwoLines.join("\n"))).toEqual([
    '11 openat(AT_FDCWD, "/tmp/x", O_WRONLY|O_CREAT, 0666)             = 3',
  ]);
});

test("terminal output is shown as it ends up", () => {
  expect(plain("\x1b[32mgreen\x1b[0m\r\n")).toBe("green\n");
  expect(plain("⠋ connecting\x1b[1G\x1b[0K⠙ connecting\r\x1b[2Kdone\n").split("\r").at(-1)).toBe("done\n");
});

describeLab("what drives programs in a lab", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab({ card: false });
  });
  afterAll(() => lab.close());

  test("a terminal passes on Ctrl-C, hides what is typed at a prompt that hides it, and gives the exit status", async () => {
    await using terminal = Terminal.start(
      lab,
      `bash -c 'trap "echo got it; exit 9" INT; read -rsp "PIN: " pin; echo "len \${#pin}"; while :; do read -r; done'`,
    );
    await terminal.waitForText(/PIN: /);
    terminal.type("4711\r");
    await terminal.waitForText(/len 4/);
    terminal.type(CTRL_C);
    expect(await terminal.exit).toEqual({ code: 9, signal: null });
    expect(terminal.text).toContain("got it");
    expect(terminal.text).not.toContain("4711");
  });

  test("byte traffic reports the same sums at both ends", async () => {
    await using service = await startByteService(lab.target, "4444", 3_000_000);
    const client = await exchangeBytes(lab.target, "127.0.0.1:4444", { bytes: 5_000_000, streams: 4 });
    const served = await waitFor(() => reportsOf(service.stdout).length === 4 && reportsOf(service.stdout), {
      what: "four reports",
    });
    expect(receivedBy(served)).toEqual(sentBy(client));
    expect(receivedBy(client)).toEqual(sentBy(served));
    expect(new Set(sentBy(client)).size).toBe(4);
  });

  test("a trace of the logins finds a file that one makes and takes away again", async () => {
    await lab.workstation.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"]);
    await lab.authorize(await lab.workstation.readFile("/root/.ssh/id_ed25519.pub"));
    const ssh = ["ssh", "-o", "BatchMode=yes", "builder@172.16.16.158"];
    const quiet = await Trace.ofLoginsTo(lab, lab.jump);
    await lab.workstation.run([...ssh, "cat /etc/hostname"]);
    expect(await quiet.stop()).toEqual([]);
    const loud = await Trace.ofLoginsTo(lab, lab.jump);
    await lab.workstation.run([...ssh, "touch /tmp/x; rm /tmp/x"]);
    const calls = await loud.stop();
    expect(calls).toHaveLength(2);
    expect(calls.join()).toMatch(/O_CREAT.*unlink/s);
  });
});
