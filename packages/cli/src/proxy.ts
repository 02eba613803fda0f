import { BlockList, isIP } from "node:net";
import { domainToASCII } from "node:url";
import { usageError } from "./errors.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The proxy for a request, and the variable that sets it. */
export interface ProxyRoute {
  readonly url: URL;
  readonly variable: string;
  /** Names the entries of NO_PROXY that were ignored. */
  readonly warning: string | undefined;
}

export const proxyVariables = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];

/**
 * Returns the proxy for this URL. Returns undefined if none is set, NO_PROXY lists the host, or the host is this
 * machine. Only the proxy that applies is parsed, so that an unsupported proxy in another variable does not fail the
 * request.
 */
export function proxyFor(address: string, env: Env): ProxyRoute | undefined {
  const url = new URL(address);
  // The variables for http also apply to https if none is set for https.
  const names = url.protocol === "https:" ? proxyVariables : proxyVariables.slice(2);
  const variable = names.find((name) => env[name]);
  if (!variable || isLoopback(hostOf(url))) return undefined;
  const exceptions = readExceptions(env);
  if (exceptions.matchers.some((matches) => matches(url))) return undefined;
  return { url: readProxy(variable, env), variable, warning: exceptions.warning };
}

function readProxy(variable: string, env: Env): URL {
  const text = env[variable] as string;
  const proxy = /^[a-z][\w+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (/^https?:/i.test(proxy) && URL.canParse(proxy)) return new URL(proxy);
  throw usageError(
    `${variable} is not the address of an HTTP proxy.`,
    "It takes one like http://proxy.example.com:3128.",
  );
}

const hostOf = ({ hostname }: URL) => withoutBrackets(hostname).replace(/\.$/, "").toLowerCase();

const withoutBrackets = (host: string) => host.replace(/^\[|\]$/g, "");

/** Includes the unspecified addresses, because connecting to them reaches this machine. */
const loopback = networksOf(["127.0.0.0/8", "0.0.0.0/32", "::1/128", "::/128"]);

/** Returns true for this machine. A proxy would reach its own loopback interface instead, and read the key. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || isWithin(loopback, host);
}

interface Exceptions {
  readonly matchers: readonly Matcher[];
  readonly warning: string | undefined;
}

/**
 * Parses NO_PROXY, whose entries are separated by commas or spaces. Like curl and Go, ignores an entry that no host can
 * match.
 */
function readExceptions(env: Env): Exceptions {
  const variable = env.no_proxy ? "no_proxy" : "NO_PROXY";
  const entries = (env[variable] ?? "")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  const read = entries.map((entry) => ({ entry, matcher: matcherOf(entry) }));
  const ignored = read.filter(({ matcher }) => !matcher).map(({ entry }) => JSON.stringify(entry));
  const warning =
    ignored.length === 0
      ? undefined
      : `${variable}: ${ignored.join(", ")} ignored. It takes host names, addresses, networks (10.0.0.0/8), ` +
        "patterns (*.example.com, 10.0.*) and <local>. Hosts and addresses can have a port.";
  return { matchers: read.flatMap(({ matcher }) => matcher ?? []), warning };
}

type Matcher = (url: URL) => boolean;

/**
 * Returns the matcher of an entry: a host with its subdomains, an address, a network, or a pattern with `*`, each with
 * an optional port.
 */
function matcherOf(entry: string): Matcher | undefined {
  // Windows writes `<local>` for host names without a dot.
  if (entry === "<local>") return (url) => /^[^.:]+$/.test(hostOf(url));
  if (isNetwork(entry)) {
    const network = networksOf([entry]);
    return (url) => isWithin(network, hostOf(url));
  }
  const [, named = "", port] = (isIP(entry) ? [entry, entry] : /^(.*?)(?::(\d+))?$/.exec(entry)) ?? [];
  const host = inAscii(withoutBrackets(named)).replace(/\.$/, "");
  if (!isIP(host) && !/^[\w*.-]+$/.test(host)) return undefined;
  const matchesHost = hostMatcherOf(host);
  return (url) => (port === undefined || port === portOf(url)) && matchesHost(hostOf(url));
}

/** Converts a host name to the ASCII form that URLs use: `bücher.example` to `xn--bcher-kva.example`. */
function inAscii(host: string): string {
  // domainToASCII would also change ASCII texts, such as 10.0.0 to 10.0.0.0.
  return /^[\x20-\x7e]*$/.test(host) ? host : domainToASCII(host);
}

function hostMatcherOf(entry: string): (host: string) => boolean {
  if (isIP(entry)) {
    const address = networksOf([entry]);
    return (host) => isWithin(address, host);
  }
  const name = entry.replace(/^\*?\./, "");
  if (!name.includes("*")) return (host) => host === name || host.endsWith(`.${name}`);
  const pattern = name.split("*").map((part) => part.replaceAll(".", "\\."));
  const whole = new RegExp(`^${pattern.join(".*")}$`);
  return (host) => whole.test(host);
}

const portOf = ({ port, protocol }: URL) => port || (protocol === "https:" ? "443" : "80");

function isNetwork(text: string): boolean {
  const [, address = "", bits = ""] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128);
}

/** Parses addresses, and networks in CIDR notation. */
function networksOf(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits] = entry.split("/");
    const family = isIP(address) === 4 ? "ipv4" : "ipv6";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function isWithin(networks: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && networks.check(host, version === 4 ? "ipv4" : "ipv6");
}
