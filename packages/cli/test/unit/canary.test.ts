import { expect, test } from "vitest";
import { refusal, secretKeyOf, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

const commandLines = (key: string): readonly (readonly string[])[] => [
  ["auth", "status"],
  ["auth", "whoami"],
  ["whoami"],
  ["auth", "login", "--key", key],
  ["auth", "login", "--key", `${key}x`],
  ["auth", "login", "--key", `${key.slice(0, -1)}_`],
  ["auth", "save", key],
  ["keys", "list"],
  ["keys", "inspect", key],
  ["keys", "inspect", `${key}x`],
  ["keys", "get", key],
  ["keys", "revoke", key],
  ["secret-keys", "get", key],
  ["secret-keys", "update", key, "--name", "x"],
  ["keys", "rotate", key],
  ["keys", "rotate", key, "--env-file", "/nowhere/.env"],
  ["keys", "rotate", key, "--finish"],
  ["keys", "rotate", "--grace", key],
  ["keys", "usage", key],
  ["keys", "revoke-all", "--except", key, "--yes"],
  ["keys", "list", "--unused-for", key],
  ["audit", "list", "--actor", key],
  ["audit", "verify", "--known-head", key],
  ["projects", "list"],
  ["projects", "use", key],
  ["organizations", "list"],
  ["threads", "list"],
  ["profiles", "list"],
  ["profiles", "use", key],
  ["config", "list"],
  ["config", "set", key, "x"],
  ["config", "set", "apiUrl", key],
  ["doctor"],
  ["logs", "query", "--since", key],
  ["logs", "query", "--api-url", "http://127.0.0.1:9"],
  ["logs", "query", "--api-url", key],
  ["logs", "query", `--${key}`],
  ["logs", "send", "/nowhere", "--public-key", key],
  ["logs", "send", key],
  ["whoami", "--profile", key],
  ["whoami", "--timeout", key],
  [key],
  ["help", key],
];

test("a key appears in no output, whichever command meets it and however it fails", async () => {
  const { env, secretKey } = await startService({
    "GET /v1/secret-keys": () => ({ body: { secretKeys: [secretKeyOf("wxyz")], nextCursor: null } }),
    "GET /v1/public-keys": () => refusal(400, "VALIDATION_ERROR", `Which? ${secretKey}`),
  });
  const worlds = [
    terminal({ env }),
    terminal({ env, columns: 60 }),
    terminal({ env: { ...env, SAZABI_SECRET_KEY: `${secretKey}x` } }),
  ];
  for (const { run } of worlds) {
    for (const argv of commandLines(secretKey)) {
      for (const more of [[], ["--json"]]) {
        const { out, err } = await run([...argv, ...more], { typed: [secretKey] });
        expect(out + err).not.toContain(secretKey.slice(8, -4));
      }
    }
  }
});
