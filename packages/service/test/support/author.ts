import type { ChangeAuthor } from "../../src/http/guards.ts";

/** An author of changes who sent no request, and whose rights are not what a test is about. */
export function testAuthor(organizationId: string): ChangeAuthor {
  return {
    organizationId,
    projectId: undefined,
    keyId: "test",
    actor: { kind: "system", name: "test" },
    address: null,
    requestId: null,
    assertStillAllowed: async () => {},
  };
}
