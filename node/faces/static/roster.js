// The genesis note, events, and who belongs by the changes in the provincial log
// (docs/spec/membership.md, docs/spec/event.md).

import { concat, decodeText, decodeValue, encodeText, encodeValue, fromHex, hex, Refusal, same } from "./bytes.js";
import { logKey, noteTime, parseNote, parseVkey, sha256, signed, witnessKey } from "./tlog.js";

const EVENT_BYTES_MAX = 4096;
const KEYS = ["log_key", "witness_key", "mirror_key", "event_key"];
const ADDRESSES = ["tls_pin", "peer_address", "web_url"];
const PARENT_TIER = { county: "city", city: "province" };

// The members of each body in order; t text, b bytes, d 32 bytes, n number, a array, ? or nothing.
const BODIES = {
  "member.admit": "code:t name:t tier:t parent:t log_key:d witness_key:d mirror_key:d event_key:d tls_pin:d peer_address:t web_url:t turn:n signatures:a",
  "member.rotate": "code:t log_key:d witness_key:d mirror_key:d event_key:d tls_pin:d peer_address:t web_url:t turn:n signatures:a",
  "member.revoke": "code:t log_size:n log_root:d turn:n signatures:a",
  "member.move": "code:t parent:t name:t turn:n signatures:a",
  "member.abolish": "code:t successor:t log_size:n log_root:d turn:n signatures:a",
  "policy.set": "version:n city_county:n province:n outside:a outside_needed:n signatures:a",
  "version.upload": "item:t manifest:d rights:t files:n file_bytes:n supersedes:d? report:d?",
  anchor: "heads:a",
};
const ENVELOPE = "version:n network:d origin:t signer:b time:n last_size:n last_root:d roster_size:n roster_root:d kind:t body:a signature:b";

// The witness policy before any policy.set: two for a city or county, a majority for the province.
const FIRST_RULES = { version: 1, city_county: 2, province: 0, outside: [], outside_needed: 0 };

const FITS = {
  t: value => typeof value === "string",
  b: value => value instanceof Uint8Array,
  d: value => value instanceof Uint8Array && value.length === 32,
  n: value => typeof value === "number",
  a: Array.isArray,
};

/** The record whose members `shape` names, from an array of fixed positions. */
function record(values, shape, where) {
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

/** The rosters that follow from changes of members, each taken in its order with `apply`. */
export class Rosters {
  constructor(genesis) {
    this.genesis = genesis;
    this.all = [{ size: 0, members: new Map(), closures: [], rules: FIRST_RULES }];
    this.logKeys = [{ code: genesis.province, key: genesis.logKey, since: -1 }];
  }

  get newest() {
    return this.all.at(-1);
  }

  /** The roster after the first `size` events of the provincial log. */
  at(size) {
    return this.all.findLast(roster => roster.size <= size);
  }

  origin(code) {
    return `${this.genesis.network}/${code}`;
  }

  async apply(index, event, where) {
    await this.#checkRoots(event, where);
    const body = event.fields;
    const before = this.newest;
    const members = new Map(before.members);
    const next = { size: index + 1, members, closures: [...before.closures], rules: before.rules };
    const refuse = (expected, got) => {
      throw new Refusal(where, expected, got);
    };
    this.all.push(next);
    if (event.kind === "policy.set") {
      const version = before.rules.version + 1;
      if (body.version !== version) refuse(`version ${version}`, body.version);
      next.rules = body;
      return;
    }
    const known = members.get(body.code);
    if (body.turn !== (known?.turn ?? 0)) refuse(`turn ${known?.turn ?? 0}`, body.turn);
    const put = changes => members.set(body.code, { ...known, ...changes, turn: body.turn + 1 });
    if (event.kind === "member.admit") {
      if (known && (!known.revoked || known.successor)) refuse("a new office or a revoked one", body.code);
      this.#checkAdmission(before, body, refuse);
      const { code, name, tier, parent } = body;
      put({ code, name, tier, parent, revoked: false, successor: "", ...keysOf(body) });
      this.logKeys.push({ code, key: body.log_key, since: index });
      return;
    }
    if (!known || known.successor) refuse(`an office ${body.code}`, "none in the changes before");
    if (event.kind === "member.move") {
      put({ parent: body.parent, name: body.name });
      return;
    }
    if (known.revoked && event.kind !== "member.abolish") refuse("an active office", "a revoked one");
    if (event.kind === "member.rotate") {
      this.#checkKeys(before, body, refuse);
      put(keysOf(body));
      if (!same(known.log_key, body.log_key)) this.logKeys.push({ code: body.code, key: body.log_key, since: index });
      return;
    }
    if (!known.parent) refuse("an office below the province", body.code);
    put({ revoked: true, successor: body.successor ?? "" });
    next.closures.push({ code: body.code, at: index, size: body.log_size });
  }

  async #checkRoots(event, where) {
    const body = event.body.slice(0, -1);
    const statement = concat(
      encodeText("fangzhi/roster/v1\n"),
      encodeValue([this.genesis.id, event.kind, [...body, []]]),
    );
    const signers = new Set();
    for (const [id, signature] of event.fields.signatures) {
      for (const root of this.genesis.roots) {
        if (!same(await keyId(root.key), id)) continue;
        if (!(await signed(root.key, statement, signature))) {
          throw new Refusal(`${where}, signature of ${root.name}`, "one that holds", "one that does not");
        }
        signers.add(root.name);
      }
    }
    const needed = this.genesis.threshold;
    if (signers.size < needed) throw new Refusal(where, `${needed} root signatures`, signers.size);
  }

  #checkAdmission(roster, body, refuse) {
    const province = body.code === this.genesis.province;
    if (!/^[1-9][0-9]{5}$/.test(body.code)) refuse("an office code", body.code);
    if (province !== (body.tier === "province") || province !== (body.parent === "")) {
      refuse("one province, and a parent for all others", body.tier);
    }
    if (!province) {
      const above = roster.members.get(body.parent);
      if (!above || above.revoked || above.tier !== PARENT_TIER[body.tier]) refuse("an active office above", body.parent);
    }
    this.#checkKeys(roster, body, refuse);
  }

  #checkKeys(roster, body, refuse) {
    const own = KEYS.map(name => hex(body[name]));
    if (new Set(own).size !== KEYS.length) refuse("different keys", "one key for two purposes");
    for (const member of roster.members.values()) {
      if (member.code === body.code && !member.revoked) continue;
      const taken = KEYS.map(name => hex(member[name]));
      if (own.some(key => taken.includes(key))) refuse("new keys of its own", `a key of ${member.code}`);
    }
  }

  /** The key that may sign events of an office under this id. */
  async eventKey(roster, code, id) {
    const member = roster.members.get(code);
    const counts = member && !member.revoked && same(await keyId(member.event_key), id);
    return counts ? member.event_key : null;
  }

  isVoid(code, index, rosterSize) {
    return this.newest.closures.some(cut => cut.code === code && index >= cut.size && rosterSize <= cut.at);
  }

  /** Who acts for the items of an office: itself, or the last successor of an abolished one. */
  heir(code) {
    for (let at = this.newest.members.get(code); at?.successor; at = this.newest.members.get(code)) {
      code = at.successor;
    }
    return code;
  }

  /** The codes of the offices above, nearest first. */
  above(code) {
    const codes = [];
    for (let at = this.newest.members.get(this.heir(code)); at?.parent; at = this.newest.members.get(codes.at(-1))) {
      codes.push(this.heir(at.parent));
    }
    return codes;
  }

  /** Keys under which an office may have signed a checkpoint of this size. */
  async logKeysOf(code, size) {
    const cut = key => this.newest.closures.find(each => each.code === code && each.at > key.since);
    const good = this.logKeys.filter(key => key.code === code && !(cut(key)?.size < size));
    const distinct = good.filter((key, at) => good.findIndex(each => same(each.key, key.key)) === at);
    return Promise.all(distinct.map(each => logKey(this.origin(code), each.key)));
  }

  /** Groups of witnesses, each with how many of them must co-sign a checkpoint of an office. */
  async policy(code) {
    const { rules, members } = this.newest;
    const always = [...members.values()].filter(member => (
      !member.revoked && member.tier !== "county" && member.code !== code));
    const witnesses = await Promise.all(always.map(async ({ code: name, name: title, witness_key: key }) => (
      { name, title, key: await witnessKey(this.origin(name), key) })));
    const province = members.get(code)?.tier === "province";
    const wanted = province ? rules.province || half(always.length) + 1 : rules.city_county;
    const outside = await Promise.all(rules.outside.map(async ([name, vkey]) => (
      { name, title: name, key: await parseVkey(vkey) })));
    return [
      { needed: Math.min(wanted, always.length), witnesses },
      { needed: rules.outside_needed, witnesses: outside },
    ].filter(group => group.witnesses.length);
  }
}

const half = value => Math.floor(value / 2);

const keysOf = body => Object.fromEntries([...KEYS, ...ADDRESSES].map(name => [name, body[name]]));

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
