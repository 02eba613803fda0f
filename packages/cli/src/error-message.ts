import { SazabiApiError, SazabiConnectionError, SazabiTimeoutError } from "@sazabi/sdk";
import { CliError, type ExitName } from "./errors.ts";
import { readableStack } from "./format-stack.ts";
import { describeNetworkFailure, isCertificateFailure } from "./network-failure.ts";
import { ThroughProxy } from "./proxy-error.ts";
import type { Session } from "./session.ts";

/** An error as reported to the user. */
export interface Explanation {
  readonly exit: ExitName;
  /** For programs. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** Adds a full stop unless the text ends a sentence. */
export const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Converts every error to a message and an exit code. */
export function explain(error: unknown, session: Session): Explanation {
  if (error instanceof CliError) {
    return { exit: error.exit, code: error.code, message: error.message, hint: error.hint };
  }
  if (error instanceof SazabiApiError) return explainApiError(error, session);
  if (error instanceof SazabiConnectionError) {
    // The error comes from our own connection code.
    return error.cause instanceof CliError ? explain(error.cause, session) : explainConnectionFailure(error, session);
  }
  return {
    exit: "failed",
    code: "BUG",
    message: `This is a bug in sazabi: ${readableStack((error as Error)?.stack ?? String(error))}`,
  };
}

function explainConnectionFailure(error: SazabiConnectionError, session: Session): Explanation {
  const { value, source } = session.apiUrl;
  const from = source === "default" ? "" : `address from ${source}`;
  if (error instanceof SazabiTimeoutError) {
    const message = `The Sazabi API at ${value}${from && ` (${from})`} did not answer within ${error.timeoutMs / 1000} s.`;
    return { exit: "unreachable", code: "TIMEOUT", message, hint: "Try again, or allow more with --timeout." };
  }
  return {
    exit: "unreachable",
    code: "UNREACHABLE",
    message: `Could not reach the Sazabi API at ${value} (${[describeNetworkFailure(error.cause), from].filter(Boolean).join("; ")}).`,
    hint: connectionHint(error.cause, value),
  };
}

function connectionHint(cause: unknown, address: string): string | undefined {
  if (cause instanceof ThroughProxy) {
    return `Check the proxy. NO_PROXY=${new URL(address).hostname} bypasses it.`;
  }
  // The service responds, and the message says what to do.
  if (isCertificateFailure(cause)) return undefined;
  return "Is it running? Start it with `npm start`, or name its address with --api-url or SAZABI_API_URL.";
}

function explainApiError(error: SazabiApiError, session: Session): Explanation {
  const { code, reason, requestId, retryAfterSeconds } = error;
  const program = { code, reason, requestId, retryAfterSeconds };
  const key = session.credential && `${session.credential.masked} (${session.credential.source})`;
  const keyWords =
    key && reason ? credentialRefusals[reason]?.(key, replaceKeyHint(session), error.message) : undefined;
  if (keyWords) return { exit: "denied", ...program, ...keyWords };
  if (error.missingContext.includes("projectId")) {
    return {
      exit: "usage",
      ...program,
      message: "Specify a project: this key can access several.",
      hint: "Name one with --project or SAZABI_PROJECT_ID, or set a default with `sazabi projects use`.",
    };
  }
  if (error.code === "NOT_FOUND" && error.message === "No such project." && session.projectInUse) {
    const { value, source } = session.projectInUse;
    const message = `Project ${value} from ${source}: there is no such project.`;
    return { exit: "notFound", ...program, message, hint: projectHint(source) };
  }
  const issues = error.issues
    .map((issue) => `${issue.path}: ${issue.message}`)
    .filter((text) => !error.message.includes(text));
  const { value: address } = session.apiUrl;
  // Prefix the message with the service only if it concerns the service itself.
  const said =
    error.status < 500 || error.message.includes(address) ? error.message : `${address} says: ${error.message}`;
  const message = [said, ...issues.slice(0, 5)].join(" ");
  return { exit: exitOf(error), ...program, message, hint: hintOf(error) };
}

function projectHint(source: string): string {
  if (source === "--project") return "`sazabi projects list` shows all projects.";
  if (source === "SAZABI_PROJECT_ID") return "Set it to one of `sazabi projects list`, or unset it.";
  return "Choose another with `sazabi projects use`, or unset it with `sazabi config unset projectId`.";
}

/** Says how to replace the key in use. A login does not help while an environment variable overrides it. */
function replaceKeyHint({ credential, profileName }: Session): string {
  const { source = "", store } = credential ?? {};
  if (source.startsWith("SAZABI_")) return `Set ${source} to another key; or unset it, and log in.`;
  if (store) return `Log in with another: \`sazabi auth login --profile ${profileName.value}\`.`;
  return "Use another key.";
}

type KeyWords = Pick<Explanation, "message" | "hint">;

/** Only the service knows when and how the key ended. */
const refused = (key: string, another: string, said: string): KeyWords => ({
  message: `The service refuses the key ${key}: ${said}`,
  hint: another,
});

const credentialRefusals: Partial<Record<string, (key: string, another: string, said: string) => KeyWords>> = {
  malformed_api_key: (key) => ({
    message: `The key ${key} is not a valid key.`,
    hint: "Copy the whole key again. `sazabi keys inspect -` checks a key without sending it.",
  }),
  invalid_api_key: (key) => ({
    message: `The service does not know the key ${key}.`,
    hint: "Is it a key of another service? Check the address with `sazabi auth status`, or log in with another key.",
  }),
  revoked_api_key: refused,
  expired_api_key: refused,
};

function exitOf(error: SazabiApiError): ExitName {
  if (error.status === 401 || error.status === 403) return "denied";
  if (error.status === 404) return "notFound";
  // Retrying does not help: the same query would exceed its budget again.
  if (error.reason === "tail_budget_exceeded") return "failed";
  if (error.status === 429) return "rateLimited";
  // The service has no database, or a gateway cannot reach the service.
  if ([502, 503, 504].includes(error.status)) return "unreachable";
  return "failed";
}

function hintOf(error: SazabiApiError): string | undefined {
  if (error.retryAfterSeconds !== undefined) {
    const at = new Date(Date.now() + error.retryAfterSeconds * 1000);
    return `Try again in ${error.retryAfterSeconds} s (at ${at.toLocaleTimeString("sv")}).`;
  }
  if (error.reason === "tail_budget_exceeded") return undefined;
  if (error.status === 429) return "It does not say for how long. Wait a minute, then try again.";
  if (error.status >= 500 && error.requestId) return `The service's log has more under request ${error.requestId}.`;
  if (error.status >= 500) return "Is there a proxy or a load balancer in between, and does the service run behind it?";
  if (error.status === 403) return "`sazabi auth status` says which key is used, and what it may do.";
  return undefined;
}
