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
  { names: ["SAZABI_KEYCHAIN_TIMEOUT"], means: "timeout of the keychain, in seconds" },
  {
    names: ["GITHUB_ACTIONS", "GITHUB_OUTPUT"],
    means: "`keys rotate` masks the new secret in the log of GitHub Actions; the file of `--github-output`",
  },
  {
    names: ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"],
    means:
      "the proxy (`http://user:password@host:port`), and the hosts reached without it: host names including their subdomains, addresses, networks (`10.0.0.0/8`), patterns (`10.0.*`, `*`), `<local>` for names without a dot; hosts and addresses can have a port. This machine (`localhost`, `127.0.0.0/8`, `::1`) is always reached without a proxy",
  },
  {
    names: ["SAZABI_CA_FILE", "NODE_EXTRA_CA_CERTS"],
    means: "files with additional certificate authorities (PEM)",
  },
  {
    names: ["FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"],
    means: "colour, in order of precedence after `--color`",
  },
  { names: ["SAZABI_PAGER", "PAGER"], means: "the pager for long output" },
  { names: ["LC_ALL", "LC_CTYPE", "LANG"], means: "the locale: with UTF-8, bars use block characters" },
  { names: ["CI"], means: "no progress display, no pager" },
];

export const emptyVariables = "Empty variables are treated as unset.";
