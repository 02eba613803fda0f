/** Repeatable random numbers: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `from` to `to`, both included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(0, from.length - 1)] as T;
  }
}

/** A line as programs write them, in one of about eighty forms, filled in at random. */
export function logLine(random: Random): string {
  return random.pick(forms).replace(/\{(\w+)\}/g, (whole, name: string) => fillings[name]?.(random) ?? whole);
}

const two = (value: number) => String(value).padStart(2, "0");
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const hexOf = (random: Random, length: number) => Array.from({ length }, () => random.int(0, 15).toString(16)).join("");

const fillings: Readonly<Record<string, (random: Random) => string>> = {
  date: (r) => `2026-${two(r.int(1, 12))}-${two(r.int(1, 28))}`,
  slashdate: (r) => `2026/${two(r.int(1, 12))}/${two(r.int(1, 28))}`,
  time: (r) => `${two(r.int(0, 23))}:${two(r.int(0, 59))}:${two(r.int(0, 59))}`,
  ms: (r) => String(r.int(0, 999)).padStart(3, "0"),
  us: (r) => String(r.int(0, 999_999)).padStart(6, "0"),
  mon: (r) => r.pick(months),
  day: (r) => String(r.int(1, 28)).padStart(2, " "),
  n: (r) => String(r.int(0, 99_999)),
  small: (r) => String(r.int(0, 9)),
  pid: (r) => String(r.int(100, 65_000)),
  port: (r) => String(r.int(1024, 65_535)),
  status: (r) => r.pick(["200", "201", "204", "301", "404", "429", "499", "500", "502", "503"]),
  ip: (r) => `10.${r.int(0, 255)}.${r.int(0, 255)}.${r.int(1, 254)}`,
  ip6: (r) => `fe80::${hexOf(r, 4)}:${hexOf(r, 4)}`,
  mac: (r) => Array.from({ length: 6 }, () => hexOf(r, 2)).join(":"),
  hex: (r) => hexOf(r, r.pick([4, 8, 12, 16])),
  uuid: (r) => `${hexOf(r, 8)}-${hexOf(r, 4)}-4${hexOf(r, 3)}-a${hexOf(r, 3)}-${hexOf(r, 12)}`,
  host: (r) => r.pick(["web-1", "db-2", "ip-10-0-3-7", "localhost", "api.example.com", "kafka-0.kafka.svc"]),
  svc: (r) => r.pick(["api", "billing", "auth-service", "payments", "cart_worker", "nginx"]),
  word: (r) =>
    r.pick(["timeout", "retry", "connection", "user", "cache", "shutdown", "handshake", "Überlauf", "取引", "naïve"]),
  level: (r) => r.pick(["INFO", "WARN", "ERROR", "DEBUG", "FATAL", "info", "warn", "error", "Warning", "notice"]),
  verb: (r) => r.pick(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]),
  path: (r) => r.pick(["/", "/api/v1/users/42", "/health", "/static/js/app.js?v=3", "/search?q=a+b&x=(1)", "/a%20b/*"]),
  url: (r) =>
    r.pick([
      "http://x.y/z?a=b",
      "https://api.example.com:8443/v2?id=7#top",
      "postgres://u:p@db-1:5432/app",
      "s3://bucket/key",
    ]),
  file: (r) =>
    r.pick(["/var/log/app.log", "/etc/nginx/nginx.conf", "C:\\Users\\me\\app.exe", "./src/main.rs", "~/.ssh/id_rsa"]),
  cls: (r) =>
    r.pick([
      "com.foo.Bar",
      "org.apache.kafka.clients.NetworkClient",
      "java.lang.NullPointerException",
      "o.s.b.w.Tomcat",
    ]),
  fn: (r) => r.pick(["main", "handleRequest", "<init>", "lambda$run$0", "foo::bar", "Worker.run"]),
  src: (r) => r.pick(["Main.java", "app.py", "server.go", "index.ts", "lib.rs"]),
  ua: (r) => r.pick(["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "-"]),
  zone: (r) => r.pick(["Z", "+00:00", "+02:00", " +0000", ""]),
};

const forms: readonly string[] = [
  // Syslog, kernel, systemd
  "{mon} {day} {time} {host} sshd[{pid}]: Failed password for invalid user admin from {ip} port {port} ssh2",
  "{mon} {day} {time} {host} systemd[1]: Started Session {n} of user root.",
  "{mon} {day} {time} {host} CRON[{pid}]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
  "{mon} {day} {time} {host} sudo:   deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/apt-get -y install -q jq",
  '<{n}>1 {date}T{time}.{ms}Z {host} {svc} {pid} ID{n} [exampleSDID@32473 iut="3" eventSource="App"] {word} failed',
  "[{n}.{us}] usb 1-{small}: new high-speed USB device number {small} using xhci_hcd",
  "[{n}.{us}] Out of memory: Killed process {pid} (java) total-vm:{n}kB, anon-rss:{n}kB, file-rss:0kB",
  "kernel: [UFW BLOCK] IN=eth0 OUT= MAC={mac} SRC={ip} DST={ip} LEN=40 TOS=0x00 PROTO=TCP SPT={port} DPT=22",
  'audit: type=1400 audit({n}.{ms}:{n}): apparmor="DENIED" operation="open" profile="/usr/sbin/ntpd" name="/etc/ssl/"',
  "{host} dhclient[{pid}]: DHCPACK of {ip} from {ip} (xid=0x{hex})",
  // Web servers and proxies
  '{ip} - - [{day}/{mon}/2026:{time} +0000] "{verb} {path} HTTP/1.1" {status} {n} "-" "{ua}"',
  '{ip} - admin [22/{mon}/2026:{time} +0200] "{verb} {path} HTTP/2.0" {status} {n} "{url}" "{ua}" "-"',
  '{slashdate} {time} [error] {pid}#0: *{n} connect() failed (111: Connection refused) while connecting to upstream, client: {ip}, server: _, request: "{verb} {path} HTTP/1.1", upstream: "http://{ip}:{port}{path}", host: "{host}"',
  "[{mon} {day} {time}.{us} 2026] [core:error] [pid {pid}:tid {n}] [client {ip}:{port}] AH00124: Request exceeded the limit of 10",
  'haproxy[{pid}]: {ip}:{port} [22/{mon}/2026:{time}.{ms}] http-in~ static/srv1 10/0/30/69/109 {status} 2750 - - ---- 1/1/1/1/0 0/0 {1wbr.com} "{verb} {path} HTTP/1.1"',
  'h2 {date}T{time}.{us}Z app/lb/{hex} {ip}:{port} {ip}:80 0.000 0.001 0.000 {status} {status} 34 366 "{verb} {url} HTTP/2.0" "{ua}" - -',
  "> {verb} {path} HTTP/1.1\r\n> Host: {host}\r\n> Accept: */*",
  // JVM
  '{date} {time},{ms} {level} [main] {cls}: failed {url} (code={small}) {"a":1}',
  "{date} {time}.{ms}  {level} {pid} --- [nio-8080-exec-{small}] {cls} : Tomcat initialized with port(s): {port} (http)",
  "\tat {cls}.{fn}({src}:{n})",
  "\tat {cls}.{fn}(Native Method) ~[na:1.8.0_292]",
  'Caused by: {cls}: Cannot invoke "String.length()" because "<local{small}>" is null',
  'Exception in thread "{fn}" {cls}: {word} at index {n}',
  "{time}.{ms} [kafka-producer-network-thread | producer-{small}] {level} {cls} - [Producer clientId=producer-1] Connection to node -1 (localhost/127.0.0.1:9092) could not be established. Broker may not be available.",
  "[{n}.{ms}s][info][gc] GC({n}) Pause Young (Normal) (G1 Evacuation Pause) {n}M->{n}M(256M) {n}.{ms}ms",
  "Picked up JAVA_TOOL_OPTIONS: -Xmx512m -XX:+UseG1GC -Dfile.encoding=UTF-8",
  "exec java -Xms256m -Xmx512m -jar /opt/{svc}.jar --server.port={port} -Dspring.profiles.active=prod",
  "Hibernate: select user0_.id as id1_0_ from users user0_ where user0_.name=? and not (user0_.deleted=? OR user0_.id is null)",
  // Python, Ruby, PHP
  "{level}:root:{word} failed: {n}",
  '{level}:werkzeug:{ip} - - [22/{mon}/2026 {time}] "{verb} {path} HTTP/1.1" {status} -',
  "{date} {time},{ms} - {svc}.module - {level} - could not {word} (attempt {small}/5)",
  '  File "{file}", line {n}, in {fn}',
  "Traceback (most recent call last):",
  "KeyError: 'user:{n}'",
  "ValueError: invalid literal for int() with base 10: '{word}'",
  "[{date} {time} +0000] [{pid}] [INFO] Listening at: http://0.0.0.0:{port} ({pid})",
  "I, [{date}T{time}.{us} #{pid}]  INFO -- : [{uuid}] Completed {status} OK in {n}ms (Views: {small}.1ms | ActiveRecord: {small}.0ms | Allocations: {n})",
  "PHP Fatal error:  Uncaught Error: Call to undefined function {word}() in {file}:{n}",
  // JavaScript
  "    at {fn} ({file}:{n}:{small})",
  "TypeError: Cannot read properties of undefined (reading '{word}')",
  "(node:{pid}) [DEP0005] DeprecationWarning: Buffer() is deprecated. Use --trace-deprecation",
  "{ level: 'error', service: '{svc}', message: '{word}', code: {n} }",
  "npm ERR! code E404 npm ERR! 404 Not Found - GET https://registry/@scope%2fname - Not found",
  // JSON
  '{"level":30,"time":{n},"pid":{pid},"hostname":"{host}","reqId":"{uuid}","msg":"request completed","res":{"statusCode":{status}}}',
  '{"timestamp": "{date}T{time}{zone}", "level": "{level}", "message": "{word} -x OR y", "nested": {"a": [1, 2, null]}}',
  '{"log":"{\\"level\\":\\"{level}\\",\\"msg\\":\\"{word} \\\\\\"quoted\\\\\\" text\\"}\\n","stream":"stderr"}',
  '"level":"error","msg":"say \\"{word}\\" twice","path":"C:\\\\temp\\\\{n}"',
  '[{"id":{n},"tags":["a b","-c"]},{"id":2}]',
  // logfmt, LTSV, CSV, key-value
  'ts={date}T{time}.{ms}Z caller={src}:{n} level=error component="scrape manager" err="dial tcp {ip}:{port}: connect: connection refused"',
  'level=info msg="request handled" method={verb} path={path} status={status} duration={n}ms -- trace={hex}',
  "time:22/{mon}/2026:{time} +0000\tlevel:error\thost:{ip}\treq:{verb} {path} HTTP/1.1\tstatus:{status}\tsize:{n}\tua:{ua}",
  '{n},{date} {time},"{word}, quoted","",{ip},-{small}.5,TRUE',
  "user:{n} action:login result:failed ip:{ip} reason: bad password",
  "order:{n} not found in region:eu-west-1",
  "cache hit ratio:0.{n} evictions:{n} size:{n}MB -- ok",
  "id={n}; name=\"{word}\"; path='{file}'; ratio=-{small}.25",
  // Containers, clouds, Go, Rust
  "{level}{mon} {time}.{us}       1 reflector.go:{n}] k8s.io/client-go/informers/factory.go:134: Failed to watch *v1.Pod: unknown (get pods)",
  'E1122 {time}.{us}   {pid} pod_workers.go:{n}] "Error syncing pod, skipping" err="failed to \\"StartContainer\\" for \\"{svc}\\" with CrashLoopBackOff" pod="default/{svc}-{hex}" podUID={uuid}',
  'Pulling image "registry.io/{svc}:{n}@sha256:{hex}" -> done',
  "{slashdate} {time} {src}:{n}: http: TLS handshake error from {ip}:{port}: EOF",
  "panic: runtime error: index out of range [{small}] with length {small}",
  "goroutine {n} [running]: main.(*Server).{fn}(0xc000{hex}, {0x{hex}, 0x5})",
  "thread 'main' panicked at src/main.rs:{n}:{small}: called `Result::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound, message: \"No such file\" }",
  "{date}T{time}.{us}Z  WARN request{method={verb} uri={path}}: tower_http::trace: response failed classification=Status code: {status}",
  "REPORT RequestId: {uuid}\tDuration: {n}.{ms} ms\tBilled Duration: {n} ms\tMemory Size: 128 MB\tMax Memory Used: {n} MB",
  // Databases
  '{date} {time}.{ms} UTC [{pid}] {svc}@app ERROR:  duplicate key value violates unique constraint "users_pkey"',
  "{date} {time} UTC [{pid}] STATEMENT:  SELECT * FROM users WHERE (name = $1 OR email LIKE '%@x.com') AND deleted_at IS NOT NULL -- {word}",
  "{date}T{time}.{us}Z {n} [Note] InnoDB: Buffer pool(s) load completed at {time}",
  "{pid}:M 22 {mon} 2026 {time}.{ms} * Background saving terminated with success",
  "SELECT count(*) FROM t WHERE a NOT IN (1,2) AND b>={n} OR c<-1;",
  // Shells, builds, odds and ends
  "+ docker run --rm -it -v /tmp:/tmp -e FOO=bar {svc}:latest sh -c 'echo \"$HOME\"'",
  "make[{small}]: *** [Makefile:{n}: {word}] Error {small}",
  "{file}:{n}:{small}: error: expected ';' before '}' token",
  "==> {word} <== ---- (100%) [#####>    ] ETA 0:00:{small}",
  "<event id=\"{n}\" type='x:y'><![CDATA[ {word} && (a || b) ]]></event>",
  "| {word} | {n} | -{small} | {ip} |",
  "¯\\_(ツ)_/¯ {word} 🚒 returned -{small} :-( NOT OK",
  "{mac} > {mac}, ethertype IPv6 (0x86dd), length 86: {ip6} > ff02::1: ICMP6, neighbor solicitation",
  "0x{hex}:  4500 003c 1c46 4000 4006 {hex}  E..<.F@.@...",
  "eyJhbGciOiJIUzI1NiJ9.{hex}.{hex}-_ expired at {date}T{time}{zone}",
  "what? why? (really) \"{word}\": 'it''s' [-1, +2, ~3] !important /regex.*[/ *bold* AND",
  "OR NOT AND ( ) [ ] { } \" ' - : ; , . / \\ ? * + @ # $ % ^ & = < > | ~ `",
];
