// Counts the messages of MCAP files with the npm package `@mcap/core`, all checksums validated.
//
// Usage: node mcap_reader.mjs FOLDER_WITH_NODE_MODULES FILE...
// Prints a JSON array: the sum over all files but the last, then the last.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const require = createRequire(join(resolve(folder), "package.json"));
const { McapIndexedReader, McapStreamReader } = require("@mcap/core");
const version = JSON.parse(readFileSync(join(resolve(folder), "node_modules/@mcap/core/package.json"))).version;
const { decompress } = require("fzstd");
const decompressHandlers = { zstd: (bytes) => decompress(bytes) };

/** What the indexed reader needs of a file. */
async function readable(path) {
  const handle = await open(path);
  return {
    size: async () => BigInt((await handle.stat()).size),
    read: async (offset, size) => {
      const bytes = new Uint8Array(Number(size));
      await handle.read(bytes, 0, Number(size), Number(offset));
      return bytes;
    },
  };
}

/** Record by record, with the checksums of chunks, data and summary. */
async function counted(path) {
  const reader = new McapStreamReader({ validateCrcs: true, decompressHandlers });
  reader.append(await readFile(path));
  const channels = new Map();
  const counts = {};
  for (let record; (record = reader.nextRecord()); ) {
    if (record.type === "Channel") channels.set(record.id, record.topic);
    if (record.type === "Message") {
      JSON.parse(Buffer.from(record.data).toString("utf8"));
      const topic = channels.get(record.channelId);
      counts[topic] = (counts[topic] ?? 0) + 1;
    }
  }
  if (!reader.done()) throw new Error(`${path} has no end`);
  const indexed = await McapIndexedReader.Initialize({ readable: await readable(path), decompressHandlers });
  const told = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (Number(indexed.statistics.messageCount) !== told) throw new Error(`${path}: the statistics do not agree`);
  return counts;
}

const results = [];
for (const file of files) results.push(await counted(file));
const sum = {};
for (const counts of results.slice(0, -1)) {
  for (const [topic, count] of Object.entries(counts)) sum[topic] = (sum[topic] ?? 0) + count;
}
console.log(JSON.stringify([{ version, counts: sum }, { version, counts: results.at(-1) }]));
