// Imported first, because an old Node cannot parse the other modules.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `Sazabi needs Node 20.19 or later; this is Node ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exit(1);
}
