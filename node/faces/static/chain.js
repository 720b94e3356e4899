// The chain of evidence of one item, checked step by step from a proof (docs/spec/proof.md) and
// the genesis note that the reader trusts.  Nothing here asks the network or touches the page.

import { decodeText, fromBase64, hex, Refusal, same } from "./bytes.js";
import { checkEventSignature, keyId, parseEvent, parseManifest, readGenesis } from "./events.js";
import { heir, Rosters, uses } from "./roster.js";
import { checkConsistency, checkInclusion, leafHash, noteTime, parseGrowth, parseTlogProof, sha256 } from "./tlog.js";

export const STEPS = ["genesis", "roster", "manifest", "event", "inclusion", "checkpoint", "witnesses", "anchors"];

const ROLE_KINDS = {
  administrator: ["version.withdraw"],
  clerk: ["version.upload", "text.derive"],
  reviewer: ["review.accept", "review.return"],
};
const RIGHTS = ["open", "office", "sealed"];

const fact = (zh, en, value) => ({ zh, en, value: String(value) });
const day = milliseconds => new Date(milliseconds).toISOString().replace("T", " ").slice(0, 19) + " UTC";

/** The named files of a proof's JSON object. */
export function openProof(json) {
  if (json?.format !== "fangzhi/proof/1" || typeof json.files !== "object") {
    throw new Refusal("proof", "an object of format fangzhi/proof/1", String(json?.format));
  }
  return new Map(Object.entries(json.files).map(([name, text]) => [name, fromBase64(String(text), name)]));
}

/** Checks a proof; yields {step, facts} for each step that holds, and throws a Refusal at the first
    that does not.  `trusted` is the genesis id (hexadecimal) that the reader knows, or null. */
export class Chain {
  constructor(files, item, trusted) {
    Object.assign(this, { files, item, trusted });
    this.logs = new Map();
  }

  async *steps() {
    for (const step of STEPS) yield { step, facts: await this[step]() };
  }

  file(name) {
    const bytes = this.files.get(name);
    if (!bytes) throw new Refusal(name, "a part of the proof", "none");
    return bytes;
  }

  async genesis() {
    this.network = await readGenesis(this.file("genesis.note"));
    const id = hex(this.network.id);
    if (this.trusted !== null && id !== this.trusted) {
      throw new Refusal("genesis.note", `the genesis you confirmed, ${this.trusted}`, id);
    }
    const { network, threshold, roots, signers } = this.network;
    return [
      fact("网络", "network", network),
      fact("创世编号", "genesis id", id),
      fact("根签名", "root signatures", `${signers.length} ✓ (${threshold} / ${roots.length}) ${signers.join(" ")}`),
    ];
  }

  async roster() {
    const names = [...this.files.keys()].filter(name => /^change-\d+\.tlog-proof$/.test(name));
    const changes = names.map(name => ({ name, ...parseTlogProof(this.file(name), name) }));
    changes.sort((a, b) => a.index - b.index);
    const province = changes[0]?.checkpoint;
    if (!province) throw new Refusal("change-*.tlog-proof", "changes of members", "none");
    this.rosters = new Rosters(this.network);
    for (const change of changes) {
      if (change.checkpoint.note.whole !== province.note.whole) {
        throw new Refusal(change.name, "one provincial checkpoint", "another");
      }
      const leaf = await leafHash(change.entry);
      await checkInclusion(leaf, change.index, province.size, province.root, change.path);
      const event = parseEvent(change.entry, change.name);
      if (!same(event.network, this.network.id) || event.origin !== this.network.province) {
        throw new Refusal(change.name, "an event of this network's province", event.origin);
      }
      if (!/^(member|policy)\./.test(event.kind)) throw new Refusal(change.name, "a change of members", event.kind);
      await this.rosters.apply(change.index, event, change.name);
    }
    this.province = province;
    const [key, witnesses] = await this.#log(this.network.province, province);
    const offices = [...this.rosters.newest.members.values()].map(member => `${member.code} ${member.name}`);
    return [
      fact("成员变动", "changes of members", `${changes.length} × ${this.network.threshold} ✓`),
      fact("机构", "offices", offices.join("、")),
      fact("省级日志", "provincial log", `${province.size} · ${hex(province.root)}`),
      fact("省级日志签名", "signed by", `${key.name} ${key.id}`),
      ...witnesses,
    ];
  }

  async manifest() {
    const bytes = this.file("manifest.json");
    const digest = await sha256(bytes);
    const entry = this.file("upload.event");
    const event = parseEvent(entry, "upload.event");
    const upload = parseTlogProof(this.file("upload.tlog-proof"), "upload.tlog-proof");
    if (!same(upload.entry, entry)) throw new Refusal("upload.tlog-proof", "the bytes of upload.event", "others");
    if (event.kind !== "version.upload") throw new Refusal("upload.event", "a version.upload", event.kind);
    if (!same(digest, event.fields.manifest)) {
      throw new Refusal("manifest.json", `SHA-256 ${hex(event.fields.manifest)}`, hex(digest));
    }
    const manifest = parseManifest(bytes);
    const said = [event.fields.item, event.origin, event.fields.rights].join(" ");
    const written = [manifest.item, manifest.office, manifest.rights].join(" ");
    if (said !== written) throw new Refusal("manifest.json", said, written);
    if (manifest.item !== this.item) throw new Refusal("manifest.json", `item ${this.item}`, manifest.item);
    Object.assign(this, { report: event, upload, listed: manifest.files });
    return [
      fact("SHA-256", "of the manifest", hex(digest)),
      fact("题名", "title", manifest.record.title),
      fact("编号", "item", manifest.item),
      fact("文件", "files", manifest.files.length),
    ];
  }

  async event() {
    const event = this.report;
    const user = this.files.has("signer.tlog-proof") ? await this.#enrolled(event) : null;
    await this.#judged(event, event.origin, this.upload.index, "upload.event", user);
    const size = event.roster_size;
    await this.#grown(this.network.province, size, event.roster_root, this.province);
    if (heir(this.rosters.at(size), event.fields.item.slice(0, 6)) !== event.origin) {
      throw new Refusal("upload.event", `the office of ${event.fields.item}`, event.origin);
    }
    if (!RIGHTS.includes(event.fields.rights)) throw new Refusal("upload.event", RIGHTS.join(" "), event.fields.rights);
    const { name } = this.rosters.newest.members.get(event.origin);
    const enrolment = user && fact("个人密钥登记于", "user's key, enrolled at", `#${user.index} ${user.roles.join(" ")}`);
    return [
      fact("报送机构", "reported by", `${event.origin} ${name}`),
      fact("自述时间", "claimed time", day(event.time)),
      fact("签名密钥", "signed by key", hex(event.signer)),
      ...(enrolment ? [enrolment] : []),
      fact("依据名册", "by the roster of", `${this.network.province} / ${size} · ${hex(event.roster_root)}`),
    ];
  }

  async inclusion() {
    const { index, path, checkpoint, entry } = this.upload;
    const passed = await checkInclusion(await leafHash(entry), index, checkpoint.size, checkpoint.root, path);
    return [
      fact("日志位置", "index in the log", `#${index} / ${checkpoint.size}`),
      fact("叶散列", "leaf hash", hex(passed[0])),
      ...passed.slice(1, -1).map((hash, at) => fact(`第 ${at + 1} 层`, `level ${at + 1}`, hex(hash))),
      fact("树根", "root", hex(checkpoint.root)),
    ];
  }

  async checkpoint() {
    const { checkpoint } = this.upload;
    const key = await this.#signer(this.report.origin, checkpoint);
    return [
      fact("日志", "log", checkpoint.origin),
      fact("条数", "size", checkpoint.size),
      fact("日志签名", "signed by", `${key.name} ${key.id}`),
    ];
  }

  async witnesses() {
    await this.#policy(this.report.origin);
    return this.#witnesses(this.report.origin, this.upload.checkpoint);
  }

  /** Who recorded the log beyond the upload, who recorded that, and so on up to the province. */
  async anchors() {
    const facts = [];
    let [code, index, checkpoint] = [this.report.origin, this.upload.index, this.upload.checkpoint];
    while (code !== this.network.province) {
      const found = this.#anchorOf(code);
      if (!found) break;
      const { by, name, proof, event, line: [, size, root] } = found;
      await this.#policy(by);
      await this.#judged(event, by, proof.index, name);
      if (size <= index) throw new Refusal(name, `a size that covers #${index}`, size);
      await this.#grown(code, size, root, checkpoint);
      const { checkpoint: above } = proof;
      await checkInclusion(await leafHash(proof.entry), proof.index, above.size, above.root, proof.path);
      const [, witnesses] = await this.#log(by, above);
      const { name: title } = this.rosters.newest.members.get(by);
      facts.push(
        fact(`✓ ${title}`, `anchored by ${by}`, `#${proof.index} ⊇ ${code} / ${size}`),
        fact("锚定的根", "anchored root", hex(root)),
        fact("自述时间", "claimed time", day(event.time)),
        witnesses.at(-1),
      );
      [code, index, checkpoint] = [by, proof.index, above];
    }
    if (!facts.length) {
      const none = code === this.network.province;
      facts.push(none ? fact("省级日志", "provincial log", "—") : fact("尚未锚定", "not anchored yet", "—"));
    }
    return facts;
  }

  /** The anchor of a log by the nearest office above that has one in the proof; not checked yet. */
  #anchorOf(code) {
    for (const by of this.rosters.above(code)) {
      const name = `anchor-${by}.tlog-proof`;
      if (!this.files.has(name)) continue;
      const proof = parseTlogProof(this.file(name), name);
      const event = parseEvent(proof.entry, name);
      const line = event.kind === "anchor" && event.fields.heads.find(([child]) => child === code);
      if (line) return { by, name, proof, event, line };
    }
    return null;
  }

  /** Checks the envelope of an event of `code`: of this network and log, signed by a key that
      counted and may sign this kind, and not beyond a closure. */
  async #judged(event, code, index, name, user = null) {
    if (!same(event.network, this.network.id)) throw new Refusal(name, "an event of this network", hex(event.network));
    if (event.origin !== code) throw new Refusal(name, `an event of ${code}`, event.origin);
    const roster = this.rosters.at(event.roster_size);
    const own = await this.rosters.eventKey(roster, code, event.signer);
    const key = own ?? (user && this.rosters.counts(roster, code, user.size) ? user.key : null);
    if (!key) throw new Refusal(`${name}, signer`, "a key that counted then", hex(event.signer));
    await checkEventSignature(event, key, name);
    if (!own && !user.roles.some(role => ROLE_KINDS[role].includes(event.kind))) {
      throw new Refusal(`${name}, signer`, `a role that may sign ${event.kind}`, user.roles.join(" "));
    }
    if (this.rosters.isVoid(code, index, event.roster_size)) {
      throw new Refusal(name, "an event before its office's keys were closed", `#${index}`);
    }
  }

  /** The enrolment of the user's key that signed the upload: before it, under the same checkpoint. */
  async #enrolled(upload) {
    const name = "signer.tlog-proof";
    const { entry, index, path, checkpoint } = parseTlogProof(this.file(name), name);
    if (checkpoint.note.whole !== this.upload.checkpoint.note.whole || index >= this.upload.index) {
      throw new Refusal(name, `the upload's checkpoint, and an index below ${this.upload.index}`, `#${index}`);
    }
    await checkInclusion(await leafHash(entry), index, checkpoint.size, checkpoint.root, path);
    const event = parseEvent(entry, name);
    await this.#judged(event, upload.origin, index, name);
    if (event.kind !== "key.enroll") throw new Refusal(name, "a key.enroll", event.kind);
    const { key, roles } = event.fields;
    if (!same(await keyId(key), upload.signer)) throw new Refusal(name, `the key ${hex(upload.signer)}`, "another");
    const known = Object.keys(ROLE_KINDS).filter(role => roles.includes(role)); // sorted
    if (!known.length || known.join() !== roles.join()) throw new Refusal(name, "roles that there are, sorted", roles.join(" "));
    const size = event.roster_size;
    if (uses(this.rosters.at(size), key)) throw new Refusal(name, "a key that nobody had", hex(key));
    return { key, roles, index, size };
  }

  /** Checks that the policy for stock tools is the one that the roster gives. */
  async #policy(code) {
    const name = `policy-${code}.txt`;
    const { text } = await this.rosters.policy(code);
    const given = decodeText(this.file(name), name);
    if (given !== text) throw new Refusal(name, `the policy by the roster: ${text}`, given);
  }

  async #grown(code, size, root, checkpoint) {
    const name = `growth-${code}.txt`;
    const growth = parseGrowth(this.file(name), name);
    if (growth.old !== size || growth.checkpoint.note.text !== checkpoint.note.text) {
      throw new Refusal(name, `${size} → ${checkpoint.size}`, `${growth.old} → ${growth.checkpoint.size}`);
    }
    await checkConsistency(size, root, checkpoint.size, checkpoint.root, growth.proof);
  }

  async #log(code, checkpoint) {
    const where = `checkpoint of ${code}`;
    if (checkpoint.origin !== this.rosters.origin(code)) {
      throw new Refusal(where, this.rosters.origin(code), checkpoint.origin);
    }
    const signer = await this.#signer(code, checkpoint);
    return [signer, await this.#witnesses(code, checkpoint)];
  }

  async #signer(code, checkpoint) {
    for (const key of await this.rosters.logKeysOf(code, checkpoint.size)) {
      if ((await noteTime(checkpoint.note, key)) !== null) return key;
    }
    throw new Refusal(`checkpoint of ${code}`, "a signature of its log key", "none");
  }

  async #witnesses(code, checkpoint) {
    const facts = [];
    for (const { needed, witnesses } of (await this.rosters.policy(code)).groups) {
      let good = 0;
      for (const { name, title, key } of witnesses) {
        const time = await noteTime(checkpoint.note, key);
        if (time === null) continue;
        good += 1;
        facts.push(fact(`✓ ${title}`, `witness ${name}`, day(time * 1000)));
      }
      if (good < needed) {
        throw new Refusal(`witnesses of ${code}`, `${needed} co-signatures by the policy`, `${good}`);
      }
      facts.push(fact("见证策略", "quorum", `${good} ≥ ${needed} / ${witnesses.length}`));
    }
    return facts;
  }
}
