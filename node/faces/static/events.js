// The genesis note, events and manifests: what they say, and who signed it
// (docs/spec/membership.md, docs/spec/event.md, docs/spec/manifest.md).

import { concat, decodeText, decodeValue, encodeText, fromHex, hex, Refusal } from "./bytes.js";
import { noteTime, parseNote, parseVkey, sha256, signed } from "./tlog.js";

const EVENT_BYTES_MAX = 4096;

// The members of each body in order; t text, b bytes, d 32 bytes, n number, a array, ? or nothing.
const BODIES = {
  "member.admit": "code:t name:t tier:t parent:t log_key:d witness_key:d mirror_key:d event_key:d tls_pin:d peer_address:t web_url:t turn:n signatures:a",
  "member.rotate": "code:t log_key:d witness_key:d mirror_key:d event_key:d tls_pin:d peer_address:t web_url:t turn:n signatures:a",
  "member.revoke": "code:t log_size:n log_root:d turn:n signatures:a",
  "member.move": "code:t parent:t name:t turn:n signatures:a",
  "member.abolish": "code:t successor:t log_size:n log_root:d turn:n signatures:a",
  "policy.set": "version:n city_county:n province:n outside:a outside_needed:n signatures:a",
  "version.upload": "item:t manifest:d rights:t files:n file_bytes:n supersedes:d? report:d?",
  "key.enroll": "key:d person:d roles:a",
  anchor: "heads:a",
};
const ENVELOPE = "version:n network:d origin:t signer:b time:n last_size:n last_root:d roster_size:n roster_root:d kind:t body:a signature:b";

const FITS = {
  t: value => typeof value === "string",
  b: value => value instanceof Uint8Array,
  d: value => value instanceof Uint8Array && value.length === 32,
  n: value => typeof value === "number",
  a: Array.isArray,
};

/** The record whose members `shape` names, from an array of fixed positions. */
export function record(values, shape, where) {
  const members = shape.split(" ").map(member => member.split(":"));
  if (!Array.isArray(values) || values.length !== members.length) {
    throw new Refusal(where, `${members.length} members`, values?.length);
  }
  return Object.fromEntries(members.map(([name, kind], at) => {
    const good = FITS[kind[0]](values[at]) || (kind[1] === "?" && values[at] === null);
    if (!good) throw new Refusal(`${where}.${name}`, `a value of kind ${kind}`, typeof values[at]);
    return [name, values[at]];
  }));
}

/** The event in a log entry, strictly decoded; its signature is not checked here. */
export function parseEvent(entry, where) {
  if (entry.length > EVENT_BYTES_MAX) throw new Refusal(where, `${EVENT_BYTES_MAX} bytes at most`, entry.length);
  const values = decodeValue(entry, where);
  const event = record(values, ENVELOPE, where);
  if (event.version !== 1 || event.signer.length !== 16 || event.signature.length !== 64) {
    throw new Refusal(where, "version 1, a key id and a signature", "another");
  }
  if (!(event.kind in BODIES)) throw new Refusal(`${where}.kind`, "a kind of a proof", event.kind);
  return { ...event, entry, fields: record(event.body, BODIES[event.kind], `${where} ${event.kind}`) };
}

/** Checks that `key` signed the event: the array without its last member. */
export async function checkEventSignature(event, key, where) {
  const said = concat(encodeText("fangzhi/event/v1\n"), Uint8Array.of(0x9b), event.entry.subarray(1, -66));
  if (!(await signed(key, said, event.signature))) {
    throw new Refusal(where, `a signature by ${hex(key).slice(0, 16)}`, "none that holds");
  }
}

/** The id under which events name a key. */
export async function keyId(key) {
  const digest = await sha256(concat(Uint8Array.of(1), key));
  return concat(Uint8Array.of(1), digest.subarray(0, 15));
}

/** A genesis note that enough of its own root keys have signed. */
export async function readGenesis(bytes) {
  const where = "genesis.note";
  const note = parseNote(bytes, where);
  const lines = note.text.split("\n");
  const words = lines.slice(1, -1).map(line => line.split(/ (.*)/s, 2));
  const names = words.map(([name]) => name).join(" ");
  if (lines[0] !== "fangzhi genesis v1" || !/^network province threshold( root)+ log$/.test(names)) {
    throw new Refusal(where, "a genesis note", lines[0].slice(0, 60));
  }
  const values = words.map(([, value]) => value);
  const roots = await Promise.all(values.slice(3, -1).map(parseVkey));
  const threshold = Number(values[2]);
  if (!(threshold >= 1 && threshold <= roots.length) || new Set(roots.map(root => hex(root.key))).size !== roots.length) {
    throw new Refusal(where, "a threshold of different root keys", values[2]);
  }
  const signers = [];
  for (const root of roots) if ((await noteTime(note, root)) !== null) signers.push(root.name);
  if (signers.length < threshold) throw new Refusal(where, `${threshold} root signatures`, signers.length);
  const id = await sha256(encodeText(note.text));
  const logs = fromHex(values.at(-1), where);
  return { id, network: values[0], province: values[1], threshold, roots, signers, logKey: logs };
}

/** The manifest of a revision: canonical JSON. */
export function parseManifest(bytes) {
  const where = "manifest.json";
  let manifest;
  try {
    manifest = JSON.parse(decodeText(bytes, where));
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(where, "JSON", String(error).slice(0, 80));
  }
  const files = manifest?.files;
  if (manifest?.format !== "fangzhi/manifest/1" || !Array.isArray(files) || !files.length) {
    throw new Refusal(where, "a manifest with files", String(manifest?.format));
  }
  return manifest;
}
