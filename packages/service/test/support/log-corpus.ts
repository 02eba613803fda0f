/**
 * Twelve kinds of system logs in the style of those that log parsers are compared on, made from templates, so that the
 * right grouping is known: rows of one template are one group. The hard cases are in it:
 * names without digits, parameters that are words, lists of any length, templates that differ in a single word.
 */
const kinds: Readonly<Record<string, readonly string[]>> = {
  sshd: [
    "Accepted publickey for {user} from {ip} port {port} ssh2: RSA SHA256:{token}",
    "Accepted password for {user} from {ip} port {port} ssh2",
    "Failed password for {user} from {ip} port {port} ssh2",
    "Failed password for invalid user {user} from {ip} port {port} ssh2",
    "Invalid user {user} from {ip}",
    "Connection closed by {ip} [preauth]",
    "Received disconnect from {ip}: 11: Bye Bye [preauth]",
    "pam_unix(sshd:session): session opened for user {user} by (uid=0)",
    "pam_unix(sshd:session): session closed for user {user}",
    "reverse mapping checking getaddrinfo for {host} [{ip}] failed - POSSIBLE BREAK-IN ATTEMPT!",
    "error: maximum authentication attempts exceeded for {user} from {ip} port {port} ssh2 [preauth]",
    "Server listening on {ip} port {port}.",
  ],
  hdfs: [
    "Receiving block blk_{int} src: /{ip}:{port} dest: /{ip}:{port}",
    "Received block blk_{int} of size {int} from /{ip}",
    "PacketResponder {small} for block blk_{int} terminating",
    "BLOCK* NameSystem.addStoredBlock: blockMap updated: {ip}:{port} is added to blk_{int} size {int}",
    "BLOCK* NameSystem.allocateBlock: {path} blk_{int}",
    "Verification succeeded for blk_{int}",
    "Deleting block blk_{int} file {path}",
    "{ip}:{port} Served block blk_{int} to /{ip}",
    "Got exception while serving blk_{int} to /{ip}:",
    "BLOCK* ask {ip}:{port} to delete {blocks}",
  ],
  spark: [
    "Running task {float} in stage {float} (TID {int})",
    "Finished task {float} in stage {float} (TID {int}). {int} bytes result sent to driver",
    "Got assigned task {int}",
    "Started reading broadcast variable {small}",
    "Reading broadcast variable {small} took {int} ms",
    "Block {broadcast} stored as values in memory (estimated size {size}, free {size})",
    "Block {broadcast} stored as bytes in memory (estimated size {size}, free {size})",
    "Found block {rdd} locally",
    "Input split: hdfs://{host}:{port}{path}:{int}+{int}",
    "Registering block manager {host}:{port} with {size} RAM",
  ],
  zookeeper: [
    "Received connection request /{ip}:{port}",
    "Accepted socket connection from /{ip}:{port}",
    "Closed socket connection for client /{ip}:{port} which had sessionid {hex}",
    "Closed socket connection for client /{ip}:{port} (no session established for client)",
    "Established session {hex} with negotiated timeout {int} for client /{ip}:{port}",
    "Expiring session {hex}, timeout of {int}ms exceeded",
    "Cannot open channel to {small} at election address /{ip}:{port}",
    "Notification time out: {int}",
    "Processed session termination for sessionid: {hex}",
    "Interrupted while waiting for message on queue",
  ],
  apache: [
    "[client {ip}] File does not exist: {path}",
    "[client {ip}] Directory index forbidden by rule: {path}",
    "jk2_init() Found child {int} in scoreboard slot {small}",
    "workerEnv.init() ok {path}",
    "mod_jk child workerEnv in error state {small}",
    "[client {ip}] script not found or unable to stat: {path}",
    "caught SIGTERM, shutting down",
    "Apache/{version} (Unix) configured -- resuming normal operations",
    "[client {ip}] request failed: URI too long",
    "server reached MaxClients setting, consider raising the MaxClients setting",
  ],
  openstack: [
    '{ip} "GET {url} HTTP/1.1" status: {status} len: {int} time: {float}',
    '{ip} "POST {url} HTTP/1.1" status: {status} len: {int} time: {float}',
    "[instance: {uuid}] VM Started (Lifecycle Event)",
    "[instance: {uuid}] VM Stopped (Lifecycle Event)",
    "[instance: {uuid}] Took {float} seconds to build instance.",
    "[instance: {uuid}] Took {float} seconds to spawn the instance on the hypervisor.",
    "[instance: {uuid}] Attempting claim: memory {int} MB, disk {small} GB, vcpus {small} CPU",
    "[instance: {uuid}] Total memory: {int} MB, used: {float} MB",
    "image {uuid} at ({path}): checking",
    "Active base files: {path}",
    "Removable base files: {paths}",
    "Auditing locally available compute resources for node {host}",
  ],
  proxy: [
    "{host}:{port} open through proxy {host}:{port} HTTPS",
    "{host}:{port} close, {int} bytes sent, {int} bytes received, lifetime {clock}",
    "{host}:{port} close, {int} bytes ({size}) sent, {int} bytes ({size}) received, lifetime {clock}",
    "{host}:{port} error : Could not connect through proxy {host}:{port} - Proxy closed the connection unexpectedly.",
    "{host}:{port} error : A connection request was canceled before the completion.",
    "{app} resolved {host} through the rule {rule}",
  ],
  health: [
    "onStandStepChanged {int}",
    "onExtend:{int} {small} {small} {small}",
    "getTodayTotalDetailSteps = {steps}",
    "setTodayTotalDetailSteps={steps}",
    "calculateCaloriesWithCache totalCalories={int}",
    "calculateAltitudeWithCache totalAltitude={int}",
    "REPORT : {int} {int} {int} {small}",
    "processHandleBroadcastAction action:{action}",
    "flush sensor data",
    "screen status unknown, assume it is {state}",
  ],
  android: [
    "acquire lock={int}, flags={hex}, tag={word}, name={class}, ws=null, uid={int}, pid={int}",
    "release:lock={int}, flg={hex}, tag={word}, name={class}, ws=null, uid={int}, pid={int}",
    "setSystemUiVisibility vis={hex} mask={hex} oldVal={hex} newVal={hex} diff={hex}",
    "getTasks: caller {int} does not hold REAL_GET_TASKS; limiting output",
    "Start proc {int}:{class}/{token} for service {class}",
    "Killing {int}:{class}/{token} (adj {small}): empty",
    "startAnimation begin",
    "ActivityManager: Displayed {class}: +{int}ms",
    "battery level is {small} and it is {state}",
    "Skipped {int} frames!  The application may be doing too much work on its main thread.",
  ],
  windows: [
    "Loaded Servicing Stack v{version} with Core: {winpath}",
    "Session: {int}_{int} initialized by client {app}.",
    "Session: {int}_{int} finalized. Reboot required: {yes}",
    "Failed to internally open package. [HRESULT = {hex} - {word}]",
    "Read out cached package applicability for package: {package}, ApplicableState: {small}, CurrentState:{small}",
    "Warning: Unrecognized packageExtended attribute.",
    "Scavenge: Starts",
    "Scavenge: Completed, disposition: {hex}",
    "SQM: Requesting upload of all unsent reports.",
    "Starting TrustedInstaller initialization.",
    "Ending TrustedInstaller initialization.",
  ],
  cluster: [
    "instruction cache parity error corrected",
    "data TLB error interrupt",
    "generating core.{int}",
    "{int} double-hummer alignment exceptions",
    "CE sym {small}, at {hex}, mask {hex}",
    "total of {int} ddr error(s) detected and corrected on rank {small}, symbol {small}",
    "ciod: failed to read message prefix on control stream (CioStream socket to {ip}:{port})",
    "ciod: LOGIN chdir({path}) failed: No such file or directory",
    "ciod: Error loading {path}: invalid or missing program image",
    "floating point instr. unavailable....{small}",
    "Node card {place} is not fully functional",
    "rts: kernel terminated for reason {int}",
  ],
  shop: [
    "order {int} placed by customer {user} with {small} items for {money}",
    "order {int} cancelled by customer {user}: {reason}",
    "payment of {money} for order {int} was declined by {bank}",
    "payment of {money} for order {int} was accepted by {bank}",
    "user {user} logged in from {city}",
    "user {user} logged out",
    "cache miss for key {token}",
    "cache hit for key {token}",
    "retrying request to {host} in {int} ms (attempt {small})",
    "mail to {mail} was sent through {host}",
    "exported {int} rows to {path} in {float}s",
    "feature flag {word} was set to {yes} by {user}",
  ],
};

export const corpusKinds = Object.keys(kinds);

export interface CorpusRow {
  readonly message: string;
  /** Which template of its kind it was made from. */
  readonly template: number;
}

type Random = (below: number) => number;

/** `count` rows of a kind, the same for the same seed. Templates are as unequal as in real logs: the nth one comes 1/n as often. */
export function corpusOf(kind: string, count: number, random: Random): readonly CorpusRow[] {
  const templates = kinds[kind] as readonly string[];
  const weights = templates.map((_, index) => 1 / (index + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: count }, () => {
    let place = (random(1_000_000) / 1_000_000) * total;
    const found = weights.findIndex((weight) => {
      place -= weight;
      return place < 0;
    });
    const template = found === -1 ? 0 : found;
    const message = (templates[template] as string).replace(/\{(\w+)\}/g, (_, name: string) => {
      const make = parameters[name];
      if (!make) throw new Error(`No parameter ${name}.`);
      return make(random);
    });
    return { message, template };
  });
}

const one = <T>(random: Random, values: readonly T[]): T => values[random(values.length)] as T;
const names =
  "root admin oracle postgres guest alice bob carol dave erin frank grace heidi ivan judy mallory nina olivia peggy rupert sybil trent victor wendy test ubuntu deploy backup www nagios".split(
    " ",
  );
const words =
  "audio sync alarm location sensor upload download index billing search notification wifi bluetooth camera gallery keyboard launcher settings".split(
    " ",
  );
const domains =
  "example.com mail.google.com proxy.cse.cuhk.edu.hk update.vendor.net api.shop.test cdn.static.org node.cluster.local play.google.com".split(
    " ",
  );
const hexText = (random: Random, digits: number) =>
  Array.from({ length: digits }, () => random(16).toString(16)).join("");

const parameters: Readonly<Record<string, (random: Random) => string>> = {
  user: (random) => one(random, names),
  word: (random) => one(random, words),
  ip: (random) => `${10 + random(180)}.${random(256)}.${random(256)}.${random(256)}`,
  port: (random) => String(1024 + random(60_000)),
  int: (random) => String(random(10 ** (1 + random(9)))),
  small: (random) => String(random(12)),
  float: (random) => `${random(300)}.${random(1_000_000)}`,
  hex: (random) => `0x${hexText(random, 4 + random(12))}`,
  token: (random) =>
    Array.from({ length: 20 }, () => one(random, [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJK0123456789"])).join(""),
  uuid: (random) => [8, 4, 4, 4, 12].map((digits) => hexText(random, digits)).join("-"),
  host: (random) =>
    random(3) === 0 ? one(random, domains) : `${one(random, words)}-${random(40)}.${one(random, domains)}`,
  path: (random) =>
    `/${Array.from({ length: 2 + random(4) }, () => one(random, [...words, ...names])).join("/")}${one(random, ["", ".html", ".log", ".dat"])}`,
  paths: (random) =>
    Array.from({ length: 1 + random(4) }, () => (parameters["path"] as (random: Random) => string)(random)).join(" "),
  blocks: (random) => Array.from({ length: 1 + random(6) }, () => `blk_${random(1e9)}`).join(" "),
  broadcast: (random) => `broadcast_${random(90)}${one(random, ["", "_piece0"])}`,
  rdd: (random) => `rdd_${random(90)}_${random(90)}`,
  size: (random) => `${random(900)}.${random(10)} ${one(random, ["KB", "MB", "GB", "B"])}`,
  version: (random) => `${random(9)}.${random(30)}.${random(9000)}`,
  url: (random) => `/v2/${hexText(random, 32)}/servers/${one(random, ["detail", hexText(random, 32)])}`,
  status: (random) => String(one(random, [200, 202, 204, 404])),
  clock: (random) =>
    one(random, ["<1 sec", `0${random(10)}:${10 + random(49)}`, `0${random(10)}:0${random(10)}:${10 + random(49)}`]),
  app: (random) => one(random, ["chrome.exe", "WindowsUpdateAgent", "SPP", "CbsTask", "firefox.exe", "outlook.exe"]),
  rule: (random) => one(random, ["Default", "Localhost", "Office", "Direct"]),
  steps: (random) => Array.from({ length: 6 }, () => random(1e6)).join("##"),
  action: (random) =>
    `android.intent.action.${one(random, ["SCREEN_ON", "SCREEN_OFF", "TIME_TICK", "BOOT_COMPLETED", "USER_PRESENT"])}`,
  state: (random) => one(random, ["on", "off"]),
  class: (random) => `com.${one(random, words)}.${one(random, words)}`,
  yes: (random) => one(random, ["yes", "no"]),
  winpath: (random) => `C:\\Windows\\winsxs\\amd64_${one(random, words)}_${hexText(random, 16)}\\cbscore.dll`,
  package: (random) =>
    `Package_for_KB${1_000_000 + random(900_000)}~${hexText(random, 16)}~amd64~~${random(9)}.${random(9)}.${random(9)}.${random(9)}`,
  place: (random) => `R${random(90)}-M${random(2)}-N${random(16)}`,
  money: (random) => `${random(900)}.${10 + random(89)} ${one(random, ["EUR", "USD", "GBP"])}`,
  bank: (random) => one(random, ["visa", "mastercard", "amex", "paypal", "sepa"]),
  reason: (random) =>
    one(random, ["too late", "changed my mind", "found it cheaper elsewhere", "duplicate", "wrong size"]),
  city: (random) => one(random, ["Berlin", "Paris", "New York", "Tokyo", "Lagos", "Rio de Janeiro", "Oslo", "Zagreb"]),
  mail: (random) => `${one(random, names)}@${one(random, domains)}`,
};
