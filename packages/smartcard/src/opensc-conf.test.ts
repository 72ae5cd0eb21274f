import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { deriveOpenscConf, readOpenscConf } from "./opensc-conf.ts";

const squeezed = (text: string): string => text.replaceAll("}", " }").replace(/\s+/g, " ").trim();
const reset = "disconnect_action = reset;";
const noCache = "use_pin_caching = false;";
const pkcs15 = `framework pkcs15 { ${noCache} }`;

describe("deriveOpenscConf", () => {
  it("adds the reset, and that no PIN is kept, to nothing and to Debian's default", () => {
    expect(squeezed(deriveOpenscConf(""))).toBe(`app default { reader_driver pcsc { ${reset} } ${pkcs15} }`);
    expect(squeezed(deriveOpenscConf("app default {\n\tframework pkcs15 {\n\t}\n}\n"))).toBe(
      `app default { reader_driver pcsc { ${reset} } ${pkcs15} }`,
    );
  });

  it("takes the keeping of PINs back where it was asked for", () => {
    const derived = deriveOpenscConf(
      "app opensc-pkcs11 { framework pkcs15 { use_pin_caching = true; a = b; } }",
    );
    expect(squeezed(derived)).toBe(
      `app opensc-pkcs11 { framework pkcs15 { ${noCache} a = b; } } app default { reader_driver pcsc { ${reset} } ${pkcs15} }`,
    );
  });

  it("changes every reader block that there is, and keeps the user's other settings", () => {
    const derived = deriveOpenscConf(`
      # disconnect_action = leave; { unbalanced
      app default {
        reader_driver pcsc { enable_pinpad = false; disconnect_action = leave; }
        card_drivers = "piv-ii", "a { b";
      }
      app opensc-pkcs11 { reader_driver pcsc { disconnect_action = unpower } pkcs11 { max_virtual_slots = 4; } }
    `);
    expect(squeezed(derived)).toBe(
      `app default { ${pkcs15} reader_driver pcsc { ${reset} enable_pinpad = false; } card_drivers = "piv-ii", "a { b"; } ` +
        `app opensc-pkcs11 { reader_driver pcsc { ${reset} } pkcs11 { max_virtual_slots = 4; } }`,
    );
  });

  it("gives app default a reader block where only another app, or a second default, has one", () => {
    const derived = deriveOpenscConf(
      "app default { a = b; } app default { reader_driver pcsc { c = d; } } app x { reader_driver pcsc { } }",
    );
    expect(squeezed(derived)).toBe(
      `app default { reader_driver pcsc { ${reset} } ${pkcs15} a = b; } ` +
        `app default { reader_driver pcsc { ${reset} c = d; } } app x { reader_driver pcsc { ${reset} } }`,
    );
  });

  it("drops the debug log, which would hold the PIN", () => {
    const derived = deriveOpenscConf('app default { debug = 9; debug_file = "/tmp/x"; x = debug; }');
    expect(squeezed(derived)).toBe(`app default { reader_driver pcsc { ${reset} } ${pkcs15} x = debug; }`);
  });

  it("survives what is not a configuration", () => {
    expect(deriveOpenscConf('}}} "open = { ;;; ="')).toContain(reset);
  });
});

describe("readOpenscConf", () => {
  it("reads the file of OPENSC_CONF, and nothing where that is not there", async () => {
    const folder = await mkdtemp(join(tmpdir(), "farside-conf-"));
    const file = join(folder, "opensc.conf");
    await writeFile(file, "app default { }");
    expect(await readOpenscConf({ OPENSC_CONF: file })).toBe("app default { }");
    await rm(folder, { recursive: true });
    expect(await readOpenscConf({ OPENSC_CONF: file })).toBe("");
  });
});
