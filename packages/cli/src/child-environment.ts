type Env = Readonly<Record<string, string | undefined>>;

/** The environment for programs that we start and that need no key of ours. */
export function withoutKeys(env: Env): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("SAZABI_")));
}
