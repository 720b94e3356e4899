// Who belongs, and whose word counts, by the changes in the provincial log; and the witness policy of
// a log (docs/spec/membership.md).

import { base64, concat, encodeText, encodeValue, hex, Refusal, same } from "./bytes.js";
import { keyId, record } from "./events.js";
import { COSIGNATURE, logKey, parseVkey, signed, witnessKey } from "./tlog.js";

const KEYS = ["log_key", "witness_key", "mirror_key", "event_key"];
const ADDRESSES = ["tls_pin", "peer_address", "web_url"];
const PARENT_TIER = { county: "city", city: "province", province: "" };
const EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OUTSIDE_MAX = 16;
const RESERVED = ["members", "outside", "quorum", "none"];
const NAME = /^(?:[^\p{C}\p{Z}]| ){1,100}$/u;
const ADDRESS = /^[\x21-\x7e]{0,255}$/;
const WEB = /^https?:\/\//;

// The witness policy before any policy.set: two for a city or county, a majority for the province.
const FIRST_RULES = { version: 1, city_county: 2, province: 0, outside: [], outside_needed: 0 };

function need(holds, where, expected, got) {
  if (!holds) throw new Refusal(where, expected, got);
}

/** The rosters that follow from changes of members, each taken in its order with `apply`. */
export class Rosters {
  constructor(genesis) {
    this.genesis = genesis;
    const used = new Set(genesis.roots.map(root => hex(root.key)));
    this.all = [{ size: 0, members: new Map(), closures: [], rules: FIRST_RULES, outside: [], used }];
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
    const change = { ...event.fields, index, where };
    const roster = this.newest;
    const next = await NEXT[event.kind](roster, change, this.genesis);
    this.all.push({ ...roster, ...next, size: index + 1 });
    const now = this.newest.members.get(change.code)?.log_key;
    const before = roster.members.get(change.code)?.log_key;
    if (now && !(before && same(now, before))) this.logKeys.push({ code: change.code, key: now, since: index });
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
        need(await signed(root.key, statement, signature), `${where}, signature of ${root.name}`,
          "one that holds", "one that does not");
        signers.add(root.name);
      }
    }
    const needed = this.genesis.threshold;
    need(signers.size >= needed, where, `${needed} root signatures`, signers.size);
  }

  /** The key that may sign events of an office under this id. */
  async eventKey(roster, code, id) {
    const member = roster.members.get(code);
    const counts = member && !member.revoked && same(await keyId(member.event_key), id);
    return counts ? member.event_key : null;
  }

  /** Whether a key that the log of an office enrolled under the roster of `size` counts by another. */
  counts(roster, code, size) {
    const member = roster.members.get(code);
    return Boolean(member) && !member.revoked
      && !roster.closures.some(cut => cut.code === code && size <= cut.at);
  }

  isVoid(code, index, rosterSize) {
    return this.newest.closures.some(cut => cut.code === code && index >= cut.size && rosterSize <= cut.at);
  }

  /** The codes of the offices above, nearest first. */
  above(code) {
    const { members } = this.newest;
    const codes = [];
    for (let at = members.get(heir(this.newest, code)); at?.parent; at = members.get(codes.at(-1))) {
      codes.push(heir(this.newest, at.parent));
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

  /** Who has to have co-signed a checkpoint of an office: groups of witnesses, each with how many of
      them, and the same as the text of a tlog-policy. */
  async policy(code) {
    const { rules, members } = this.newest;
    const always = [...members.values()].filter(member => (
      !member.revoked && member.tier !== "county" && member.code !== code));
    always.sort((a, b) => a.code - b.code);
    const inside = await Promise.all(always.map(async ({ code: name, name: title, witness_key: key, web_url: url }) => (
      { name, title, key: await witnessKey(this.origin(name), key), url: below(url, "witness") })));
    const outside = await Promise.all(rules.outside.map(async ([name, vkey, url]) => (
      { name, title: name, key: await parseVkey(vkey), url })));
    const own = members.get(code);
    const wanted = own.tier === "province" ? rules.province || half(always.length) + 1 : rules.city_county;
    const groups = [
      { name: "members", needed: Math.min(wanted, always.length), witnesses: inside },
      { name: "outside", needed: rules.outside_needed, witnesses: outside },
    ].filter(group => group.needed);
    const log = [await logKey(this.origin(code), own.log_key), below(own.web_url, `log/${code}`)];
    return { groups, text: policyText(log, [...inside, ...outside], groups) };
  }
}

const half = value => Math.floor(value / 2);
const below = (url, path) => url && `${url.replace(/\/+$/, "")}/${path}`;
const vkey = ({ name, id, type, key }) => `${name}+${id}+${base64(concat(Uint8Array.of(type), key))}`;

function policyText([log, url], witnesses, groups) {
  const lines = [["log", vkey(log), url]];
  for (const witness of witnesses) lines.push(["witness", witness.name, vkey(witness.key), witness.url]);
  for (const { name, needed, witnesses: members } of groups) {
    const count = needed === 1 ? "any" : needed === members.length ? "all" : needed;
    lines.push(["group", name, count, ...members.map(member => member.name)]);
  }
  if (groups.length === 2) lines.push(["group", "quorum", "all", "members", "outside"]);
  lines.push(["quorum", groups.length === 2 ? "quorum" : groups[0]?.name ?? "none"]);
  return lines.map(line => `${line.filter(word => word !== "").join(" ")}\n`).join("");
}

/** Who acts for the items of an office: itself, or the last successor of an abolished one. */
export function heir(roster, code) {
  for (let at = roster.members.get(code); at?.successor; at = roster.members.get(code)) code = at.successor;
  return code;
}

/** Whether this is or was a signing key of anybody in the roster, or of an outside witness. */
export const uses = (roster, key) => roster.used.has(hex(key)) || roster.outside.includes(hex(key));

// What follows from each kind of change: the parts of the roster that are others.

const NEXT = {
  "member.admit": admitted,
  "member.rotate": rotated,
  "member.revoke": (roster, change) => {
    const member = changing(roster, change);
    need(!member.revoked, change.where, "an active office", "a revoked one");
    return closed(roster, member, change, "");
  },
  "member.move": (roster, change) => {
    const member = changing(roster, change);
    need(NAME.test(change.name), change.where, "a printable name", change.name);
    checkParent(roster, member.tier, change);
    return put(roster, member, { parent: change.parent, name: change.name });
  },
  "member.abolish": abolished,
  "policy.set": ruled,
};

function put(roster, member, changes) {
  const next = { ...member, ...changes, turn: member.turn + 1 };
  const used = new Set([...roster.used, ...KEYS.map(name => hex(next[name]))]);
  return { members: new Map(roster.members).set(next.code, next), used };
}

function admitted(roster, change, genesis) {
  const { code, name, tier, parent, where } = change;
  const known = roster.members.get(code);
  const isProvince = code === genesis.province;
  need(/^[1-9][0-9]{5}$/.test(code), where, "an office code", code);
  need(change.turn === (known?.turn ?? 0), where, `turn ${known?.turn ?? 0}`, change.turn);
  need(!known || (known.revoked && !known.successor), where, "a new office or a revoked one", code);
  need(tier in PARENT_TIER && (!known || known.tier === tier), where, "its tier", tier);
  need(isProvince === (tier === "province"), where, `the province ${genesis.province}`, code);
  need(known || !isProvince || same(change.log_key, genesis.logKey), where, "the log key of the genesis note", "another");
  need(NAME.test(name), where, "a printable name", name);
  checkOffice(change);
  checkFresh(roster, where, KEYS.map(key => change[key]));
  checkParent(roster, tier, change);
  const fresh = { code, tier, turn: 0 };
  return put(roster, known ?? fresh, { name, parent, revoked: false, successor: "", ...keysOf(change) });
}

function rotated(roster, change) {
  const member = changing(roster, change);
  need(!member.revoked, change.where, "an active office", "a revoked one");
  checkOffice(change);
  checkFresh(roster, change.where, KEYS.filter(key => !same(change[key], member[key])).map(key => change[key]));
  return put(roster, member, keysOf(change));
}

function abolished(roster, change) {
  const member = changing(roster, change);
  const successor = roster.members.get(change.successor);
  const good = successor && !successor.revoked && successor !== member;
  need(good, change.where, "another active office as successor", change.successor);
  const under = [...roster.members.values()].some(each => !each.revoked && each.parent === member.code);
  need(!under, change.where, "no active office under it", "one that has to move first");
  return closed(roster, member, change, successor.code);
}

/** The province's keys are rotated, never closed: the change would stand in the log that it cuts. */
function closed(roster, member, change, successor) {
  const { where, code, index, log_size: size, log_root: root } = change;
  need(member.parent, where, "an office below the province", code);
  need(size || hex(root) === EMPTY_ROOT, where, "the root of no events", hex(root));
  const last = roster.closures.findLast(cut => cut.code === code);
  const isSame = last && size === last.size && same(root, last.root);
  need(!last || isSame || (!member.revoked && size > last.size), where, `the closure at ${last?.size} or beyond`, size);
  const closures = [...roster.closures, { code, at: index, size, root }];
  return { ...put(roster, member, { revoked: true, successor }), closures };
}

async function ruled(roster, change) {
  const { where, version, outside: given } = change;
  need(version === roster.rules.version + 1, where, `version ${roster.rules.version + 1}`, version);
  const named = given.map(each => record(each, "name:t vkey:t url:t", `${where} outside`));
  need(change.city_county >= 1 && change.outside_needed <= named.length && named.length <= OUTSIDE_MAX,
    where, "at least one member, no more outside witnesses than named", "else");
  const keys = await Promise.all(named.map(each => parseVkey(each.vkey)));
  const [outside, names] = [keys.map(({ key }) => hex(key)), named.map(each => each.name)];
  need(new Set(names).size === names.length && new Set(outside).size === names.length,
    where, "each outside witness once", names.join(" "));
  named.forEach(({ name, url }, at) => {
    const good = NAME.test(name) && /^\p{L}[^ ]*$/u.test(name) && !RESERVED.includes(name);
    need(good, where, "names of one word that begin with a letter", name);
    need(ADDRESS.test(url) && WEB.test(url), where, "a web address of http or https", url);
    need(keys[at].type === COSIGNATURE, where, `a key of type ${COSIGNATURE}`, keys[at].type);
  });
  checkFresh(roster, where, keys.map(({ key }) => key).filter(key => !roster.outside.includes(hex(key))));
  return { rules: change, outside };
}

/** The office that a change is about, which must be there, by its turn. */
function changing(roster, { code, turn, where }) {
  const member = roster.members.get(code);
  need(member && !member.successor, where, `an office ${code}`, "none in the changes before");
  need(turn === member.turn, where, `turn ${member.turn}`, turn);
  return member;
}

function checkParent(roster, tier, { parent, where }) {
  const above = roster.members.get(parent);
  const good = tier === "province" ? parent === "" : above?.tier === PARENT_TIER[tier] && !above.revoked;
  need(good, where, `an active ${PARENT_TIER[tier] || "nobody"} as parent`, parent);
}

function checkOffice(change) {
  const { where, peer_address: peer, web_url: web } = change;
  need(new Set(KEYS.map(name => hex(change[name]))).size === KEYS.length, where, "four different keys", "one twice");
  need(ADDRESS.test(peer) && ADDRESS.test(web), where, "addresses without blanks", `${peer} ${web}`);
  need(!web || WEB.test(web), where, "a web address of http or https", web);
}

function checkFresh(roster, where, keys) {
  for (const key of keys) need(!uses(roster, key), where, "keys that nobody ever had", hex(key).slice(0, 16));
}

const keysOf = body => Object.fromEntries([...KEYS, ...ADDRESSES].map(name => [name, body[name]]));
