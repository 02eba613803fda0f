interface Variables {
  /** Variables with the same purpose, in order of precedence. */
  readonly names: readonly string[];
  readonly means: string;
}

/**
 * Every environment variable that the command line reads. `sazabi help environment` and docs/cli.md print this table.
 */
export const environment: readonly Variables[] = [
  { names: ["SAZABI_SECRET_KEY", "SAZABI_TOKEN"], means: "the secret key" },
  { names: ["SAZABI_PUBLIC_KEY"], means: "the public key of `logs send`" },
  { names: ["SAZABI_API_URL"], means: "address of the API" },
  { names: ["SAZABI_PROJECT_ID"], means: "the project, by id or name" },
  { names: ["SAZABI_PROFILE"], means: "the profile" },
  {
    names: ["SAZABI_CONFIG_DIR"],
    means:
      "folder of the settings (default `$XDG_CONFIG_HOME/sazabi`, `~/.config/sazabi`; macOS `~/Library/Preferences/sazabi`; Windows `%APPDATA%\\sazabi\\Config`)",
  },
  { names: ["SAZABI_KEYCHAIN_TIMEOUT"], means: "seconds that the keychain may take" },
  {
    names: ["GITHUB_ACTIONS", "GITHUB_OUTPUT"],
    means: "`keys rotate` masks the new secret in the log of GitHub Actions; the file of `--github-output`",
  },
  {
    names: ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"],
    means:
      "the way through a proxy (`http://user:password@host:port`), and what is reached without it: host names, which stand for what is below them, addresses, networks (`10.0.0.0/8`), patterns (`10.0.*`, `*`), `<local>` for names without a dot; hosts and addresses can have a port. This machine (`localhost`, `127.0.0.0/8`, `::1`) is always reached without it",
  },
  {
    names: ["SAZABI_CA_FILE", "NODE_EXTRA_CA_CERTS"],
    means: "files with further certificate authorities (PEM)",
  },
  {
    names: ["FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"],
    means: "colour, in order of precedence after `--color`",
  },
  { names: ["SAZABI_PAGER", "PAGER"], means: "the program that long output is read in" },
  { names: ["LC_ALL", "LC_CTYPE", "LANG"], means: "whether bars may be block characters" },
  { names: ["CI"], means: "no progress display, no pager" },
];

export const emptyVariables = "Empty variables are treated as unset.";
