import { createHash } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import { ApiError } from "../../errors.ts";
import { clientAddress, type HttpContext, type HttpEnv, header, requestId } from "../../http/context.ts";
import { parseBody, readBody, readBytes } from "../../http/request.ts";
import { ok } from "../../http/respond.ts";
import { hasControlCharacter } from "../../http/text-fields.ts";
import { subscriberBlock } from "../../net/ip-ranges.ts";

/** Reports per minute and address. GitHub sends from few addresses and signs its requests. */
const reportsPerMinute = 10;
const githubRequestsPerMinute = 600;
const maxReportBytes = 16 * 1024;
const maxGithubBytes = 256 * 1024;

const place = (max: number) =>
  z
    .string()
    .max(max)
    .refine((text) => !hasControlCharacter(text), "must not hold control characters");
const key = z.string().min(8).max(500);

const report = z.strictObject({
  key,
  /** URL at which the key was found. */
  url: place(2000).optional(),
  /** Where or by which tool it was found: a repository, a chat, a scanner. */
  source: place(200).optional(),
  note: place(1000).optional(),
});

/** Unknown members are ignored, so that later additions by GitHub do not cause rejections. */
const githubMatches = z
  .array(
    z.object({
      token: key,
      type: z.string().max(200),
      url: z.string().max(4000).nullish(),
      source: z.string().max(200).nullish(),
    }),
  )
  .min(1)
  .max(1000);

/** Maximum number of addresses with a limit in use. Each uses memory, and one sender may have many. */
const maxReporters = 100_000;

/** For reporters of keys without a credential: people, scanners, GitHub. */
export const keyReportRoutes = ({ reports, reportLimiter, githubSignatures, now }: AppContext) => {
  const limit = async (c: HttpContext, name: string, perMinute: number) => {
    const reporter = `${name} ${subscriberBlock(clientAddress(c))}`;
    if (!reportLimiter.hasRoomFor(reporter, maxReporters)) {
      throw new ApiError("UNAVAILABLE", "Too many reports just now. Try again in a minute.", { retryAfterSeconds: 60 });
    }
    const bucket = reportLimiter.bucket(reporter);
    const state = await bucket.take(perMinute, now());
    if (state.allowed) return;
    throw new ApiError(
      "RATE_LIMIT_EXCEEDED",
      `Too many reports from your address. Please retry after ${state.retryAfterSeconds} seconds.`,
      { retryAfterSeconds: state.retryAfterSeconds },
    );
  };
  return (
    new Hono<HttpEnv>()
      // Responds before the key is looked up, so that the response reveals nothing about it.
      .post("/", async (c) => {
        c.env.operationId = "keys.report";
        await limit(c, "report", reportsPerMinute);
        const body = await readBody(c, report, maxReportBytes);
        reports.accept({ ...body, reporter: "key report", address: clientAddress(c), requestId: requestId(c) });
        return ok(c, { received: true }, 202);
      })

      .post("/github", async (c) => {
        c.env.operationId = "keys.reportGithub";
        if (!githubSignatures) {
          throw new ApiError(
            "NOT_FOUND",
            "GitHub's secret scanning is not configured here: SAZABI_GITHUB_SCANNING_KEYS must name a file with its keys.",
          );
        }
        await limit(c, "github", githubRequestsPerMinute);
        const body = await readBytes(c, maxGithubBytes);
        const identifier = header(c, "github-public-key-identifier");
        const signature = header(c, "github-public-key-signature");
        if (!identifier || !signature || !githubSignatures.isValid(identifier, signature, body)) {
          throw new ApiError("UNAUTHORIZED", "The body is not signed with one of the configured keys of GitHub.");
        }
        const matches = await parseBody(body, githubMatches);
        const labels: object[] = [];
        for (const { token, type, url, source } of matches) {
          const kind = await reports.record({
            key: token,
            url: printable(url),
            source: printable(source),
            reporter: "GitHub secret scanning",
            address: clientAddress(c),
            requestId: requestId(c),
          });
          labels.push({
            token_hash: createHash("sha256").update(token).digest("hex"),
            token_type: type,
            label: kind === "secret" ? "true_positive" : "false_positive",
          });
        }
        return ok(c, labels);
      })
  );
};

function printable(text: string | null | undefined): string | undefined {
  return text?.toWellFormed().replace(/\p{Cc}/gu, "�");
}
