// Transparency logs: SHA-256 trees (RFC 9162), signed notes, checkpoints, co-signatures and
// tlog-proofs (c2sp.org), with the browser's own WebCrypto.

import { concat, decimal, decodeText, encodeText, fromBase64, hex, Refusal, same } from "./bytes.js";

const LOG = 0x01;
export const COSIGNATURE = 0x04;
const HASHES_MAX = 63;
const LINES_MAX = 100;

export const sha256 = async bytes => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
export const leafHash = entry => sha256(concat(Uint8Array.of(0), entry));
const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

/** Whether this browser can check an Ed25519 signature; not all can, nor any outside HTTPS. */
export async function canVerify() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), "Ed25519", false, ["verify"]);
    return true;
  } catch {
    return false;
  }
}

export async function signed(key, message, signature) {
  try {
    const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, signature, message);
  } catch {
    return false;
  }
}

/** Checks that a leaf hash stands at `index` in the tree of `size` with `root`; the hashes passed. */
export async function checkInclusion(leaf, index, size, root, path) {
  const where = "inclusion path";
  if (index >= size) throw new Refusal(where, `an index below ${size}`, index);
  let [place, last, node] = [index, size - 1, leaf];
  const passed = [leaf];
  for (const other of path) {
    if (last === 0) throw new Refusal(where, "no hash beyond the root", `${path.length} hashes`);
    if (place % 2 || place === last) {
      node = await nodeHash(other, node);
      while (place && place % 2 === 0) [place, last] = [half(place), half(last)];
    } else {
      node = await nodeHash(node, other);
    }
    passed.push(node);
    [place, last] = [half(place), half(last)];
  }
  if (last) throw new Refusal(where, "hashes up to the root", `only ${path.length}`);
  if (!same(node, root)) throw new Refusal(where, `the root ${hex(root)}`, hex(node));
  return passed;
}

/** Checks that the tree (size1, root1) is a prefix of the tree (size2, root2). */
export async function checkConsistency(size1, root1, size2, root2, proof) {
  const where = "consistency proof";
  if (size1 > size2) throw new Refusal(where, `a first size of at most ${size2}`, size1);
  const empty = await sha256(new Uint8Array());
  if (size1 === 0 && !same(root1, empty)) throw new Refusal(where, "the root of the empty tree", hex(root1));
  if (size1 === 0 || size1 === size2) {
    if (proof.length) throw new Refusal(where, "no hashes", proof.length);
    if (size1 === size2 && !same(root1, root2)) throw new Refusal(where, hex(root1), hex(root2));
    return;
  }
  const path = isPower(size1) ? [root1, ...proof] : [...proof];
  if (!proof.length) throw new Refusal(where, "at least one hash", "none");
  let [place, last] = [size1 - 1, size2 - 1];
  while (place % 2) [place, last] = [half(place), half(last)];
  let older = path[0];
  let newer = path[0];
  for (const other of path.slice(1)) {
    if (last === 0) throw new Refusal(where, "no hash beyond the root", `${proof.length} hashes`);
    if (place % 2 || place === last) {
      [older, newer] = [await nodeHash(other, older), await nodeHash(other, newer)];
      while (place && place % 2 === 0) [place, last] = [half(place), half(last)];
    } else {
      newer = await nodeHash(newer, other);
    }
    [place, last] = [half(place), half(last)];
  }
  if (last) throw new Refusal(where, "hashes up to the root", `only ${proof.length}`);
  if (!same(older, root1)) throw new Refusal(`${where}, older root`, hex(root1), hex(older));
  if (!same(newer, root2)) throw new Refusal(`${where}, newer root`, hex(root2), hex(newer));
}

const half = value => Math.floor(value / 2);

function isPower(size) {
  while (size % 2 === 0) size /= 2;
  return size === 1;
}

/** A key as notes name it: "log" keys sign checkpoints, "witness" keys co-sign them. */
export async function noteKey(name, type, key) {
  const bytes = concat(encodeText(name), Uint8Array.of(0x0a, type), key);
  return { name, type, key, id: hex((await sha256(bytes)).subarray(0, 4)) };
}
export const logKey = (origin, key) => noteKey(origin, LOG, key);
export const witnessKey = (origin, key) => noteKey(`${origin}/witness`, COSIGNATURE, key);

/** The key that a vkey spells: name+id+base64; base64 may itself contain "+". */
export async function parseVkey(vkey) {
  const [, name, id, data] = /^([^\s+]+)\+([0-9a-f]{8})\+(.+)$/u.exec(vkey) ?? [];
  if (!data) throw new Refusal("verifier key", "name+id+base64", vkey.slice(0, 80));
  const bytes = fromBase64(data, "verifier key");
  const key = await noteKey(name, bytes[0], bytes.slice(1));
  if (key.id !== id || key.key.length !== 32) throw new Refusal("verifier key", `id ${key.id}`, id);
  return key;
}

/** {whole, text, lines} of a signed note, nothing verified. */
export function parseNote(bytes, where = "note") {
  const whole = decodeText(bytes, where);
  const split = whole.lastIndexOf("\n\n");
  if (split < 1 || !whole.endsWith("\n") || /[\x00-\x09\x0b-\x1f]/.test(whole)) {
    throw new Refusal(where, "text, an empty line and signatures", "another form");
  }
  const spelled = whole.slice(split + 2, -1).split("\n");
  if (spelled.length > LINES_MAX) throw new Refusal(where, `${LINES_MAX} signatures at most`, spelled.length);
  const lines = spelled.map(line => {
    const [, name, data] = /^— ([^\s+]+) (\S+)$/u.exec(line) ?? [];
    if (!data) throw new Refusal(where, "lines of signatures", line.slice(0, 80));
    const signature = fromBase64(data, where);
    return { name, id: hex(signature.subarray(0, 4)), signature: signature.subarray(4) };
  });
  return { whole, text: whole.slice(0, split + 1), lines };
}

/** The time in seconds of a good signature of `key` on the note (0: it has none), else null.  A
    signature by this key that does not hold is refused, whatever else there is. */
export async function noteTime(note, key) {
  const line = note.lines.find(each => each.name === key.name && each.id === key.id);
  if (!line) return null;
  let message = note.text;
  let [signature, time] = [line.signature, 0];
  if (key.type === COSIGNATURE) {
    if (signature.length !== 72) throw new Refusal(`co-signature of ${key.name}`, "72 bytes", signature.length);
    time = signature.subarray(0, 8).reduce((sum, byte) => sum * 256 + byte, 0);
    message = `cosignature/v1\ntime ${time}\n${note.text}`;
    signature = signature.subarray(8);
  }
  if (!(await signed(key.key, encodeText(message), signature))) {
    throw new Refusal(`signature of ${key.name}`, "one that holds", "one that does not");
  }
  return time;
}

/** {origin, size, root, note} of a checkpoint, nothing verified. */
export function parseCheckpoint(bytes, where) {
  const note = parseNote(bytes, where);
  const [origin, size, root, ...rest] = note.text.split("\n");
  const hash = fromBase64(root ?? "", where);
  if (!origin || rest.at(-1) !== "" || hash.length !== 32) {
    throw new Refusal(where, "origin, size and root", note.text.slice(0, 80));
  }
  return { origin, size: decimal(size, where), root: hash, note };
}

function hashes(lines, where) {
  if (lines.length > HASHES_MAX) throw new Refusal(where, `${HASHES_MAX} hashes at most`, lines.length);
  return lines.map(line => {
    const hash = fromBase64(line, where);
    if (hash.length !== 32) throw new Refusal(where, "hashes of 32 bytes", hash.length);
    return hash;
  });
}

/** c2sp.org/tlog-proof with its entry: {entry, index, path, checkpoint}, nothing verified. */
export function parseTlogProof(bytes, where) {
  const [head, note] = halves(bytes, where);
  const [magic, extra, index, ...path] = head.split("\n");
  if (magic !== "c2sp.org/tlog-proof@v1" || !extra?.startsWith("extra ") || !index?.startsWith("index ")) {
    throw new Refusal(where, "a tlog-proof with its entry", head.slice(0, 60));
  }
  return {
    entry: fromBase64(extra.slice(6), where),
    index: decimal(index.slice(6), where),
    path: hashes(path, where),
    checkpoint: parseCheckpoint(encodeText(note), where),
  };
}

/** The body of an add-checkpoint request: {old, proof, checkpoint}, nothing verified. */
export function parseGrowth(bytes, where) {
  const [head, note] = halves(bytes, where);
  const [old, ...proof] = head.split("\n");
  if (!old.startsWith("old ")) throw new Refusal(where, "old and a size", old.slice(0, 40));
  return {
    old: decimal(old.slice(4), where),
    proof: hashes(proof, where),
    checkpoint: parseCheckpoint(encodeText(note), where),
  };
}

function halves(bytes, where) {
  const whole = decodeText(bytes, where);
  const split = whole.indexOf("\n\n");
  if (split < 0) throw new Refusal(where, "an empty line before the checkpoint", "none");
  return [whole.slice(0, split), whole.slice(split + 2)];
}
