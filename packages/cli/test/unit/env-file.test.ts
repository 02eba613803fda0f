import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { maskKey } from "@sazabi/sdk";
import { describe, expect, test } from "vitest";
import { checkEnvFile, setInEnvFile } from "../../src/rotation/env-file.ts";
import { someKey } from "../support/service.ts";
import { scratchDirectory } from "../support/terminal.ts";

const name = "SAZABI_SECRET_KEY";
const none = { masks: [] };

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
    ["\ufeffNAME=old\nB=2\n", "\ufeffNAME=new\nB=2\n"],
    ["\ufeffA=1\r\n", "\ufeffA=1\r\nNAME=new\r\n"],
    ["# NAME=old\nNAMED=1\nMY_NAME=2\n", "# NAME=old\nNAMED=1\nMY_NAME=2\nNAME=new\n"],
  ])("%j becomes %j", (before, after) => {
    const path = file(before.replaceAll(/\bNAME/g, name));
    setInEnvFile(path, name, "new", none);
    expect(readFileSync(path, "utf8")).toBe(after.replaceAll(/\bNAME/g, name));
  });

  test("replaces the secret of the key in every variable that holds it, and no other key", () => {
    const [old, older, other, fresh] = [someKey("secret"), someKey("secret"), someKey("secret"), someKey("secret")];
    const masks = [maskKey(old), maskKey(older)];
    const path = file(
      `\ufeffSAZABI_TOKEN=${old}\n${name}="${old}" # here\r\nexport LOGS_KEY='${older}'\nOTHER=${other}\nPLAIN=x${old}\n# ${old}\n`,
    );
    expect(setInEnvFile(path, name, fresh, { masks })).toEqual(["SAZABI_TOKEN", name, "LOGS_KEY"]);
    expect(readFileSync(path, "utf8")).toBe(
      `\ufeffSAZABI_TOKEN=${fresh}\n${name}="${fresh}" # here\r\nexport LOGS_KEY='${fresh}'\nOTHER=${other}\nPLAIN=x${old}\n# ${old}\n`,
    );
    const elsewhere = file(`SAZABI_TOKEN=${old}\n`);
    expect(setInEnvFile(elsewhere, name, fresh, { masks })).toEqual(["SAZABI_TOKEN"]);
    expect(readFileSync(elsewhere, "utf8")).toBe(`SAZABI_TOKEN=${fresh}\n`);
  });

  test("replaces an imported secret by its whole text", () => {
    const [old, alike] = ["acme_7f3c9a1be2d84f60a5c1", "acme_00000000000000000000a5c1"];
    const content = (secret: string, main = secret) => `A=${secret}\n${name}=${main}\nB=${alike}\n`;
    const [known, found] = [file(`A=${old}\nB=${alike}\n`), file(content(old))];
    expect(setInEnvFile(known, name, "new", { masks: ["acme_…a5c1"], secret: old })).toEqual(["A"]);
    expect(readFileSync(known, "utf8")).toBe(`A=new\nB=${alike}\n`);
    setInEnvFile(found, name, "new", { masks: ["acme_…????"] });
    expect(readFileSync(found, "utf8")).toBe(content("new"));
  });

  test("keeps the mode, makes a new file for its owner alone, and leaves nothing beside it", () => {
    for (const mode of [0o600, 0o640, 0o644]) {
      const path = file(`${name}=old\n`, mode);
      setInEnvFile(path, name, "new", none);
      expect(statSync(path).mode & 0o777).toBe(mode);
    }
    const fresh = join(scratchDirectory(), ".env");
    setInEnvFile(fresh, name, "new", none);
    expect(statSync(fresh).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(fresh, ".."))).toEqual([".env"]);
  });

  test("writes through a link, and leaves the link", () => {
    const path = file(`${name}=old\n`);
    const link = join(scratchDirectory(), "linked.env");
    symlinkSync(path, link);
    setInEnvFile(link, name, "new", none);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(path, "utf8")).toBe(`${name}=new\n`);
  });
});

test("a placeholder that other variables hold too is replaced in its own variable alone", () => {
  const path = file(`${name}=your-api-key-here\nSTRIPE_API_KEY=your-api-key-here\n`);
  setInEnvFile(path, name, "new", { masks: ["acme_…wxyz"] });
  expect(readFileSync(path, "utf8")).toBe(`${name}=new\nSTRIPE_API_KEY=your-api-key-here\n`);
});

describe("checkEnvFile", () => {
  test.each([`\${OTHER}`, "$OTHER", '"$(cat key)"'])("refuses a file whose variable is %s", (value) => {
    const path = file(`OTHER=x\n${name}=${value}\n`);
    expect(() => checkEnvFile(path, name, none)).toThrow(`takes ${name} from elsewhere`);
  });

  test("repeats no value that expands something, and takes a literal `$` in single quotes", () => {
    const path = file(`${name}=\${OTHER:-acme_7f3c9a1be2d84f60a5c1}\n`);
    expect(() => checkEnvFile(path, name, none)).toThrow(/^(?!.*7f3c9a1be2d84f60).*from elsewhere/);
    expect(() => checkEnvFile(file(`${name}='abcd$Efgh0123456789'\n`), name, none)).not.toThrow();
  });

  test("refuses a file that holds another key, and names neither whole", () => {
    const [mine, other] = [someKey("secret"), someKey("secret")];
    const path = file(`${name}="${other}"\n`);
    expect(() => checkEnvFile(path, name, { masks: [maskKey(other)] })).not.toThrow();
    expect(() => checkEnvFile(path, name, { masks: [maskKey(mine)] })).toThrow(maskKey(other));
    expect(() => checkEnvFile(file(`${name}=changeme\n`), name, { masks: [maskKey(mine)] })).not.toThrow();
    expect(() => checkEnvFile(join(path, "..", "none", ".env"), name, none)).toThrow("no such file or directory");
  });
});
