/**
 * A command that the command line does not name, while it is read without commander (plain.ts): whatever is declared
 * of it is forgotten.
 */
export const ignored: unknown = new Proxy(() => ignored, { get: () => ignored, set: () => true });
