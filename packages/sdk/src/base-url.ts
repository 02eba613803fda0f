export const defaultBaseUrl = "http://127.0.0.1:4600";

/** The address without trailing slashes or `/v1`. Refuses what is no plain http(s) address. */
export function readBaseUrl(text: string): string {
  const url = parseUrl(text);
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new TypeError(`The base URL must be an http or https address, like ${defaultBaseUrl}.`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new TypeError("The base URL must hold no user, password, query or fragment.");
  }
  return (url.origin + url.pathname).replace(/\/+$/, "").replace(/\/v1$/, "");
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
