import { readFileSync } from "node:fs";
import { usageError } from "./errors.ts";
import { systemMessage } from "./os-error-text.ts";

/**
 * Returns the certificate authorities to trust if a file with additional ones is given. Returns undefined otherwise,
 * which selects Node's default. Node ignores NODE_EXTRA_CA_CERTS if an explicit list is given, so the list includes it.
 */
export function readAuthorities(
  named: { readonly path: string; readonly source: string } | undefined,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] | undefined {
  if (!named) return undefined;
  const { rootCertificates } = process.getBuiltinModule("node:tls");
  const extra = env.NODE_EXTRA_CA_CERTS ? [readPem(env.NODE_EXTRA_CA_CERTS, "NODE_EXTRA_CA_CERTS")] : [];
  return [...rootCertificates, ...extra, readPem(named.path, named.source)];
}

function readPem(path: string, source: string): string {
  const text = readText(path, source);
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  const blocks = text.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g);
  if (!blocks) {
    throw usageError(
      `${source}: ${path} contains no certificate.`,
      "It must be a PEM file, which begins with -----BEGIN CERTIFICATE-----.",
    );
  }
  for (const [i, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch {
      throw usageError(`${source}: certificate ${i + 1} of ${path} is damaged.`);
    }
  }
  return blocks.join("\n");
}

function readText(path: string, source: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw usageError(`${source}: cannot read ${path} (${systemMessage(cause)}).`);
  }
}
