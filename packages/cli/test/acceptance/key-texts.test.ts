import { createHash, randomBytes } from "node:crypto";
import { SazabiAdmin } from "@sazabi/sdk";
import { queryDatabase, startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sazabi } from "../support/process.ts";
import { scratchDirectory } from "../support/terminal.ts";

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service?.close());

const keys = (...argv: readonly string[]) =>
  sazabi(scratchDirectory(), ["keys", ...argv], {
    env: { SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: service.secretKey },
  });

const newText = () => `acme_${randomBytes(16).toString("hex")}`;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Imports keys of which the service shows the same masked form. */
async function importAlike(kind: "secret" | "public", texts: readonly string[]): Promise<readonly string[]> {
  const body = { keys: texts.map((text) => ({ kind, name: "theirs", prefix: "acme_", sha256: sha256(text) })) };
  const answer = await fetch(`${service.url}/v1/keys/import`, {
    method: "POST",
    headers: { authorization: `Bearer ${service.secretKey}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const { imported } = (await answer.json()) as { imported: { id: string; masked: string }[] };
  for (const { masked } of imported) expect(masked).toBe("acme_…????");
  return imported.map(({ id }) => id);
}

describe("a command that is given the key itself", () => {
  test.each(["secret", "public"] as const)("revokes this %s key, and none that looks like it", async (kind) => {
    const [text, other] = [newText(), newText()];
    const [id = "", otherId = ""] = await importAlike(kind, [text, other]);
    const { code, out, err } = await keys("revoke", text);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining(id) });
    expect(out + err).not.toContain(text.slice(5));
    const { items } =
      kind === "secret" ? await admin.secretKeys.list({ revoked: true }) : await admin.publicKeys.list();
    const ends = new Map(items.map((key) => [key.id, "revokedAt" in key ? key.revokedAt : key.deactivatedAt]));
    expect([ends.get(id), ends.get(otherId)]).toEqual([expect.any(String), null]);
  });

  test("shows, changes, counts and rotates this key", async () => {
    const { id, value } = await admin.secretKeys.create({ name: "mine" });
    const { id: publicId, value: publicValue } = await admin.publicKeys.create({ name: "mine, too" });
    expect((await keys("secret-keys", "get", value)).out).toContain(id);
    expect((await keys("public-keys", "get", publicValue)).out).toContain(publicId);
    expect((await keys("secret-keys", "update", value, "--name", "renamed")).out).toContain("renamed");
    expect((await keys("usage", value, "--json")).out).toContain(id);
    expect((await keys("rotate", publicValue, "--json")).out).toContain(publicId);
  });

  test("finds one that cannot be used from here, has expired, or was revoked", async () => {
    const fenced = await admin.secretKeys.create({ name: "fenced", allowedAddresses: ["203.0.113.9"] });
    expect((await keys("revoke", fenced.value)).code).toBe(0);
    expect((await keys("revoke", fenced.value)).err).toContain("It has been revoked since");
    const expired = await admin.secretKeys.create({ name: "expired" });
    const past = "update keys set expires_at = now() - interval '1 minute' where id = $1";
    await queryDatabase(service.databaseUrl, past, [expired.id]);
    expect((await keys("secret-keys", "get", expired.value)).out).toContain("expired");
  });

  test("refuses the previous secret of a key when its grace has ended", async () => {
    const { id, value } = await admin.secretKeys.create({ name: "rotated" });
    await admin.secretKeys.rotate(id, { graceSeconds: 600 });
    expect((await keys("secret-keys", "get", value)).out).toContain(id);
    await admin.secretKeys.finishRotation(id);
    const { code, err } = await keys("revoke", value);
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringContaining("it was replaced when its key was rotated"),
    });
    expect(err).toContain(id);
    expect((await admin.secretKeys.get(id)).revokedAt).toBeNull();
  });

  test.each(["revoke", "usage", "rotate", "secret-keys get"])(
    "%s refuses a key of another organization, and one of the other kind",
    async (words) => {
      const foreign = await admin.secretKeys.create({ name: "foreign" });
      const text = newText();
      const [importedId] = await importAlike("secret", [text]);
      await queryDatabase(
        service.databaseUrl,
        `with other as (insert into organizations (name, slug) values ('Other', gen_random_uuid()::text) returning id)
         update keys set organization_id = (select id from other) where id = any($1)`,
        [[foreign.id, importedId]],
      );
      for (const one of [foreign.value, text]) {
        const { code, out, err } = await keys(...words.split(" "), one);
        expect({ code, out }).toEqual({ code: 3, out: "" });
        expect(err).not.toContain(one.slice(8, -4));
      }
    },
  );

  test("says that a key is of the other kind", async () => {
    const { code, err } = await keys("secret-keys", "revoke", service.publicKey);
    expect(code).toBe(3);
    expect(err).toContain("is not a secret key: it is a public key");
  });
});
