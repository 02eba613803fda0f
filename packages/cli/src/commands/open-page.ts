import { SazabiConnectionError } from "@sazabi/sdk";
import { openInBrowser } from "../browser.ts";
import { CliError, usageError } from "../errors.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { mostSimilar } from "../similar.ts";

/** Pages of the service for browsers, with their paths. */
const pages: Readonly<Record<string, string>> = { dashboard: "/dashboard", docs: "/docs" };

/** Alternatives if the service runs without the page. */
const instead: Readonly<Record<string, string>> = {
  dashboard:
    "What it would show is here: `sazabi keys list`, `sazabi logs query`, `sazabi audit list`; `sazabi --help` has the rest.",
  docs: "`sazabi help` and --help after any command explain the command line; the folder docs of the repository has the rest.",
};

const timeoutMs = 5000;

/** Opens a page of the service in a browser, or prints its URL if that is not possible. */
export async function openPage(session: Session, page: string): Promise<void> {
  if (!Object.hasOwn(pages, page)) {
    const meant = mostSimilar(page, Object.keys(pages));
    throw usageError(
      `There is no page ${visible(page)}.`,
      meant ? `Did you mean ${meant}?` : "There are: dashboard, docs.",
    );
  }
  const url = `${session.apiUrl.value}${pages[page]}`;
  await checkIsThere(session, page, url);
  const opened = await openInBrowser(url, session.context.env, process.platform);
  await session.result({ url, opened }, () => {
    if (opened) session.say(`Opened ${url}`);
    else session.out(url);
  });
}

/** Checks without a key that the page exists. A page that requires a login counts as present. */
async function checkIsThere(session: Session, page: string, url: string): Promise<void> {
  const fetch = await session.openFetch();
  const signal = AbortSignal.any([session.context.signal, AbortSignal.timeout(timeoutMs)]);
  const init = { method: "GET", headers: { accept: "text/html" }, signal, redirect: "manual" } as const;
  const { value: address } = session.apiUrl;
  const answer = await fetch(url, init).catch((cause) => {
    if (session.context.signal.aborted) throw session.context.signal.reason;
    throw new SazabiConnectionError(`Could not reach ${address}.`, { address, cause });
  });
  if (answer.status === 404) {
    throw new CliError(`The service at ${address} is run without its ${page}.`, {
      code: "NOT_FOUND",
      exit: "notFound",
      hint: instead[page],
    });
  }
  if (answer.status < 500) return;
  throw new CliError(`The ${page} at ${url} does not work now: it answers with status ${answer.status}.`, {
    code: "UNAVAILABLE",
    exit: "unreachable",
    hint: "Try again in a moment. The service's log says what is wrong.",
  });
}
