import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { maskKey } from "@sazabi/sdk";
import { describe, expect, test } from "vitest";
import { checkEnvFile, setInEnvFile } from "../../src/rotation/env-file.ts";
import { someKey } from "../support/service.ts";
import { scratchDirectory } from "../support/terminal.ts";

const name = "SAZABI_SECRET_KEY";

function file(content: string, mode = 0o600) {
  const path = join(scratchDirectory(), ".env");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe("setInEnvFile", () => {
  test.each([
    ["", "NAME=new\n"],
    ["A=1", "A=1\nNAME=new\n"],
    ["A=1\r\n", "A=1\r\nNAME=new\r\n"],
    ["NAME=old", "NAME=new"],
    ["NAME=", "NAME=new"],
    ["A=1\nNAME=old\nB=2\n", "A=1\nNAME=new\nB=2\n"],
    ["A=1\r\nNAME=old\r\nB=2\r\n", "A=1\r\nNAME=new\r\nB=2\r\n"],
    ['  export NAME="old"  # why\n', '  export NAME="new"  # why\n'],
    ["NAME = 'old'\n", "NAME = 'new'\n"],
    ["NAME=old # why\n", "NAME=new # why\n"],
    ["NAME=old\nNAME=older\n", "NAME=new\nNAME=new\n"],
    ["# NAME=old\nNAMED=1\nMY_NAME=2\n", "# NAME=old\nNAMED=1\nMY_NAME=2\nNAME=new\n"],
  ])("%j becomes %j", (before, after) => {
    const path = file(before.replaceAll(/\bNAME/g, name));
    setInEnvFile(path, name, "new");
    expect(readFileSync(path, "utf8")).toBe(after.replaceAll(/\bNAME/g, name));
  });

  test("keeps the mode, makes a new file for its owner alone, and leaves nothing beside it", () => {
    for (const mode of [0o600, 0o640, 0o644]) {
      const path = file(`${name}=old\n`, mode);
      setInEnvFile(path, name, "new");
      expect(statSync(path).mode & 0o777).toBe(mode);
    }
    const fresh = join(scratchDirectory(), ".env");
    setInEnvFile(fresh, name, "new");
    expect(statSync(fresh).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(fresh, ".."))).toEqual([".env"]);
  });

  test("writes through a link, and leaves the link", () => {
    const path = file(`${name}=old\n`);
    const link = join(scratchDirectory(), "linked.env");
    symlinkSync(path, link);
    setInEnvFile(link, name, "new");
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(path, "utf8")).toBe(`${name}=new\n`);
  });
});

describe("checkEnvFile", () => {
  test("refuses a file that holds another key, and names neither whole", () => {
    const [mine, other] = [someKey("secret"), someKey("secret")];
    const path = file(`${name}="${other}"\n`);
    expect(() => checkEnvFile(path, name, [maskKey(other)])).not.toThrow();
    expect(() => checkEnvFile(path, name, [maskKey(mine), undefined])).toThrow(maskKey(other));
    expect(() => checkEnvFile(file(`${name}=changeme\n`), name, [maskKey(mine)])).not.toThrow();
    expect(() => checkEnvFile(join(path, "..", "none", ".env"), name, [])).toThrow("no such file or directory");
  });
});
