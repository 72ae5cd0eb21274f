import { describe, expect, test } from "vitest";
import { TCP_STATE, type TcpRow, tcpEndpoint, visitTcpRows } from "./proc-net-tcp.ts";

const HEADER =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n";

function row(
  number: number,
  local: string,
  remote: string,
  state: string,
  uid: number,
  inode: number,
): string {
  const numbers = `${String(uid).padStart(5)}        0 ${inode} 1 ffff8881 20 4 30 10 -1`;
  return `${`${number}`.padStart(4)}: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 ${numbers}\n`;
}

function rowsOf(text: string, table: "tcp" | "tcp6", wanted?: ReadonlySet<string>): TcpRow[] {
  const rows: TcpRow[] = [];
  visitTcpRows(Buffer.from(text), table, wanted, (found) => rows.push(found));
  return rows;
}

describe("rows of /proc/net/tcp", () => {
  test("name addresses as this kernel does", () => {
    expect(tcpEndpoint("127.0.0.1", 4444, "tcp")).toBe("0100007F:115C");
    expect(tcpEndpoint("::1", 80, "tcp6")).toBe("00000000000000000000000001000000:0050");
    expect(tcpEndpoint("127.0.0.1", 1, "tcp6")).toBe("0000000000000000FFFF00000100007F:0001");
    expect(tcpEndpoint("::ffff:10.0.0.2", 1, "tcp")).toBe("0200000A:0001");
    expect(tcpEndpoint("fe80::1:2%eth0", 1, "tcp6")).toBe("000080FE000000000000000002000100:0001");
    expect(tcpEndpoint("::1", 80, "tcp")).toBeUndefined();
  });

  test("are read with state, user and inode", () => {
    const text = HEADER + row(0, "0100007F:115C", "00000000:0000", "0A", 1000, 4711);
    expect(rowsOf(text, "tcp")).toEqual([
      { local: "0100007F:115C", remote: "00000000:0000", state: TCP_STATE.listen, uid: 1000, inode: 4711 },
    ]);
  });

  test("are found among thousands by their two ends alone", () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => {
      const port = index.toString(16).toUpperCase().padStart(4, "0");
      return row(index, `0100007F:${port}`, "0100007F:0016", "01", index, index + 1);
    });
    const text = Buffer.from(HEADER + lines.join(""));
    const rows: TcpRow[] = [];
    visitTcpRows(text, "tcp", new Set(["0100007F:2710 0100007F:0016"]), (found) => rows.push(found));
    expect(rows).toMatchObject([{ uid: 10_000, inode: 10_001 }]);
  });

  test("that are cut or empty are left out", () => {
    const whole = HEADER + row(0, "0100007F:115C", "00000000:0000", "0A", 0, 1);
    for (let length = 0; length < whole.length - 40; length += 1) {
      expect(rowsOf(whole.slice(0, length), "tcp").length).toBeLessThanOrEqual(1);
    }
    expect(rowsOf("", "tcp")).toEqual([]);
    expect(rowsOf(HEADER, "tcp6")).toEqual([]);
  });
});
