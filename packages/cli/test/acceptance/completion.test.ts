import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bin, finished, isolated } from "../support/process.ts";
import { secretKeyOf, startService } from "../support/service.ts";
import { scratchDirectory } from "../support/terminal.ts";

const has = (shell: string) => spawnSync(shell, ["--version"]).status === 0;

/** A person with the command on the path, logged in at a service with one key whose name needs quoting. */
async function person(...names: readonly string[]) {
  const { env } = await startService({
    "GET /v1/projects": () => ({ body: { projects: [{ id: "p-1", name: "default" }], nextCursor: null } }),
    "GET /v1/secret-keys": () => ({
      body: {
        secretKeys: ["CI/CD $(touch owned)", ...names].map((name) => secretKeyOf("wxyz", { name })),
        nextCursor: null,
      },
    }),
    "GET /v1/public-keys": () => ({ body: { publicKeys: [], nextCursor: null } }),
  });
  const home = scratchDirectory();
  mkdirSync(join(home, "bin"));
  writeFileSync(join(home, "bin", "sazabi"), `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`, { mode: 0o755 });
  const PATH = `${join(home, "bin")}:${process.env.PATH}`;
  return async (shell: string, argv: readonly string[]) => {
    const child = spawn(shell, argv, { cwd: home, env: isolated(home, { ...env, PATH, TERM: "xterm" }) });
    child.stdin.end();
    return (await finished(child)).out;
  };
}

describe.skipIf(!has("bash"))("in bash", () => {
  /** Bash itself takes the line apart, and gives it with what was completed. */
  const typed = (line: string) => [
    "--norc",
    "-c",
    `source <(sazabi completion bash) && complete -p sazabi >/dev/null && COMP_LINE="$1" && COMP_POINT=\${#1} && _sazabi && printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    line,
  ];

  test("commands, options and names come up, quoted as bash needs them", async () => {
    const run = await person();
    expect(await run("bash", typed("sazabi keys ins"))).toBe("inspect\n");
    expect(await run("bash", typed("sazabi logs query --oldest"))).toBe("--oldest-first\n");
    expect(await run("bash", typed("sazabi keys revoke CI"))).toBe("CI/CD\\ \\$\\(touch\\ owned\\)\n");
  });

  test("names with : and = are completed, and what is typed of them stays", async () => {
    const run = await person("prod:api", "prod:app one", "a=b=c");
    expect(await run("bash", typed("sazabi keys revoke prod:a"))).toBe("api\napp\\ one\n");
    expect(await run("bash", typed("sazabi keys revoke pr"))).toBe("prod:api\nprod:app\\ one\n");
    expect(await run("bash", typed("sazabi keys revoke a=b"))).toBe("b=c\n");
    expect(await run("bash", typed("sazabi keys revoke --type=sec"))).toBe("secret\n");
    expect(await run("bash", typed("sazabi logs query --project=def"))).toBe("default\n");
  });

  test("names in quotes are completed within them", async () => {
    const run = await person("zq space two", 'it\'s "$x" `y`');
    expect(await run("bash", typed('sazabi keys revoke "zq sp'))).toBe("zq space two\n");
    expect(await run("bash", typed("sazabi keys revoke 'zq sp"))).toBe("zq space two\n");
    expect(await run("bash", typed('sazabi keys revoke "it'))).toBe('it\'s \\"\\$x\\" \\`y\\`\n');
    expect(await run("bash", typed("sazabi keys revoke 'it"))).toBe("\n");
    expect(await run("bash", typed("sazabi keys revoke zq\\ sp"))).toBe("zq\\ space\\ two\n");
  });
});

describe.skipIf(!has("fish"))("in fish", () => {
  const complete = (line: string) => [
    "--no-config",
    "-c",
    `sazabi completion fish | source; complete -C ${JSON.stringify(line)}`,
  ];

  test("commands, options and names come up with what they are", async () => {
    const run = await person();
    expect(await run("fish", complete("sazabi keys ins"))).toMatch(/^inspect\tcheck a key's type and checksum/);
    expect(await run("fish", complete("sazabi logs query --oldest"))).toMatch(/^--oldest-first\t/);
    expect(await run("fish", complete("sazabi keys revoke CI"))).toContain(
      "CI/CD $(touch owned)\tsecret key sk_live_…wxyz",
    );
  });
});

describe.skipIf(!has("zsh"))("in zsh", () => {
  /** Types the line into a zsh of its own, and Tab, and gives the line as it is then. */
  const typed = (line: string) => [
    "-f",
    "-c",
    `zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source <(sazabi completion zsh); print -r -- read""y'
zpty -r shell text '*ready*'
zpty -w shell 'show() { print -r -- "<$BUFFER>" }; zle -N show; bindkey "^X" show; print -r -- bou""nd'
zpty -r shell text '*bound*'
zpty -n -w shell "$1"$'\\t\\x18'
zpty -r shell text '*<*>*'
print -r -- "$text"
zpty -d shell`,
    "zsh",
    line,
  ];

  test("commands, options and names are filled in, quoted as zsh needs them", async () => {
    const run = await person();
    expect(await run("zsh", typed("sazabi keys ins"))).toContain("<sazabi keys inspect >");
    expect(await run("zsh", typed("sazabi logs query --oldest"))).toContain("<sazabi logs query --oldest-first >");
    expect(await run("zsh", typed("sazabi keys secret-keys revoke CI"))).toContain(
      "<sazabi keys secret-keys revoke CI/CD\\ \\$\\(touch\\ owned\\) >",
    );
  });
});
