import { usageError } from "./errors.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The way that the environment wants a request to take, and the variable that says so. */
export interface ProxyRoute {
  readonly url: URL;
  readonly variable: string;
}

export const proxyVariables = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];

/** Refuses a variable that names no proxy, before any request. */
export function checkProxies(env: Env): void {
  for (const variable of proxyVariables) if (env[variable]) readProxy(variable, env);
}

/** The proxy for this address; undefined when there is none, or NO_PROXY names the host. */
export function proxyFor(address: string, env: Env): ProxyRoute | undefined {
  const url = new URL(address);
  // Where only the one for http is named, it is for https, too.
  const names = url.protocol === "https:" ? proxyVariables : proxyVariables.slice(2);
  const variable = names.find((name) => env[name]);
  const isDirect = !variable || isExcepted(url, env.no_proxy || env.NO_PROXY || "");
  return isDirect ? undefined : readProxy(variable, env);
}

function readProxy(variable: string, env: Env): ProxyRoute {
  const text = env[variable] as string;
  const proxy = /^[a-z][\w+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (/^https?:/i.test(proxy) && URL.canParse(proxy)) return { url: new URL(proxy), variable };
  throw usageError(`${variable} is no address of a proxy.`, "It takes one like http://proxy.example.com:3128.");
}

/** Hosts with commas or spaces between; each stands for what is below it, too. A port narrows it; `*` is every host. */
function isExcepted(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === "*") return true;
      const [, name = "", onlyPort] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry) ?? [];
      // What is left of an IPv6 address that ends in digits is no host and its port.
      const isAddress = entry.split(":").length > 2 && !entry.startsWith("[");
      if (!isAddress && onlyPort !== undefined && onlyPort !== port) return false;
      const wanted = (isAddress ? entry : name).replace(/^\*?\./, "");
      return host === wanted || host.endsWith(`.${wanted}`);
    });
}
