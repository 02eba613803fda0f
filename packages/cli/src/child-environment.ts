type Env = Readonly<Record<string, string | undefined>>;

/** Returns the environment for child processes, without the variables that hold keys. */
export function withoutKeys(env: Env): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("SAZABI_")));
}
