import { describe, expect, test } from "vitest";
import { uidOfUser, userNameOf } from "./user-names.ts";

describe("users of the host", () => {
  test("are known by name and by uid", async () => {
    expect(await uidOfUser("root")).toBe(0);
    expect(await uidOfUser("nobody")).toBe(65_534);
    expect(await userNameOf(0)).toBe("root");
    expect(await userNameOf(54_321)).toBe("uid 54321");
  });

  test("may be given as a uid", async () => {
    expect(await uidOfUser("54321")).toBe(54_321);
  });

  test.each(["no-such-user", "", "--help", "root:x", "root\nx", "../root", "x".repeat(300)])(
    "that do not exist are refused: %j",
    async (name) => {
      await expect(uidOfUser(name)).rejects.toMatchObject({ code: "config.invalid", leg: "bind" });
    },
  );
});
