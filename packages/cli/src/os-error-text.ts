/** Returns the operating system's message: `no such file or directory`. */
export function systemMessage(error: unknown): string {
  const { errno, code, message } = error as NodeJS.ErrnoException;
  const [, words] = (errno !== undefined && process.getBuiltinModule("node:util").getSystemErrorMap().get(errno)) || [];
  return words ?? code ?? message;
}
