import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { scratchDirectory } from "./terminal.ts";

/** A certificate authority of our own, and a server on 127.0.0.1 whose certificate it signed. */
export interface Authority {
  /** PEM. */
  readonly caFile: string;
  readonly certificate: string;
  readonly key: string;
}

export function makeAuthority(names = "IP:127.0.0.1,DNS:localhost,DNS:sazabi.test"): Authority {
  const folder = scratchDirectory();
  const file = (name: string) => join(folder, name);
  const openssl = (...argv: string[]) => execFileSync("openssl", argv, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority");
  openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost");
  writeFileSync(file("names"), `subjectAltName=${names}`);
  const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"];
  openssl("x509", "-req", "-in", "server.csr", ...signed, "-out", "server.pem", "-days", "2");
  return {
    caFile: file("ca.pem"),
    certificate: readFileSync(file("server.pem"), "utf8"),
    key: readFileSync(file("server.key"), "utf8"),
  };
}

/** A certificate that signs itself. */
export function makeSelfSigned(): Authority {
  const folder = scratchDirectory();
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate];
  execFileSync("openssl", ["req", "-x509", ...made, "-days", "2", "-subj", "/CN=127.0.0.1"], { stdio: "pipe" });
  return { caFile: certificate, certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
}

/** Speaks TLS with that certificate and passes everything on to `target`, a service that speaks http. */
export async function startTls({ certificate, key }: Authority, target: string): Promise<string> {
  const server: Server = createServer({ cert: certificate, key }, async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const headers = { authorization: incoming.headers.authorization ?? "", "content-type": "application/json" };
    const body = chunks.length > 0 ? new Uint8Array(Buffer.concat(chunks)) : null;
    const answer = await fetch(new URL(incoming.url as string, target), {
      method: incoming.method ?? "GET",
      headers,
      body,
    });
    outgoing.writeHead(answer.status, { "content-type": "application/json", "x-request-id": "req-1" });
    outgoing.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
