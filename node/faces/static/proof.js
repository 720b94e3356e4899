// The page /items/{item}/proof: fetches the proof, has the chain checked, shows each step.

import { hex, Refusal } from "./bytes.js";
import { Chain, openProof } from "./chain.js";
import { canVerify, sha256 } from "./tlog.js";

const PINNED = "fangzhi.genesis";
const FILE_BYTES_MAX = 2 ** 30; // a browser hashes a file in one piece

const page = document.querySelector("[data-item]");
const part = name => page.querySelector(`[data-part="${name}"]`);
const stepOf = name => page.querySelector(`[data-step="${name}"]`);

/** The genesis id that the reader confirmed here before, or null. */
function pinned() {
  try {
    return localStorage.getItem(PINNED);
  } catch {
    return null;
  }
}

function pin(id) {
  try {
    if (id === null) localStorage.removeItem(PINNED);
    else localStorage.setItem(PINNED, id);
  } catch {
    part("unkept").hidden = false;
  }
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Marks a step as passed, failed or skipped, with the values that were compared. */
function show(step, state, facts) {
  const row = stepOf(step);
  row.dataset.state = state;
  row.querySelector("[data-mark]").textContent = { passed: "✓", failed: "✗", skipped: "–" }[state];
  const list = row.querySelector("dl");
  list.replaceChildren(...facts.flatMap(({ zh, en, value }) => {
    const term = element("dt", zh, { lang: "zh-Hans" });
    term.append(" ", element("small", en, { lang: "en" }));
    return [term, element("dd", value)];
  }));
  row.querySelector("details").hidden = facts.length === 0;
  if (state === "failed") row.querySelector("details").open = true;
}

function refused(step, error) {
  const known = error instanceof Refusal;
  show(step, "failed", known
    ? [
      { zh: "何处", en: "where", value: error.where },
      { zh: "应为", en: "expected", value: error.expected },
      { zh: "实为", en: "got", value: error.got },
    ]
    : [{ zh: "故障", en: "fault", value: String(error) }]);
}

function conclude(verdict) {
  page.dataset.verdict = verdict;
  for (const text of page.querySelectorAll("[data-when]")) text.hidden = text.dataset.when !== verdict;
}

function askForGenesis(id) {
  part("genesis-id").replaceChildren(
    ...id.match(/.{8}/g).map(group => element("span", group.replace(/(.{4})/, "$1 "))));
  part("ask").hidden = false;
  part("confirm").onclick = () => {
    pin(id);
    part("ask").hidden = true;
    conclude("proven");
    part("verdict").focus();
  };
}

async function check(proof) {
  const known = pinned();
  const chain = new Chain(openProof(proof), page.dataset.item, known);
  const left = new Set([...page.querySelectorAll("[data-step]")].map(row => row.dataset.step));
  try {
    for await (const { step, facts } of chain.steps()) {
      show(step, "passed", facts);
      left.delete(step);
    }
  } catch (error) {
    const [failed, ...rest] = left;
    refused(failed, error);
    rest.forEach(step => show(step, "skipped", []));
    conclude(failed === "genesis" && known !== null && chain.network && hex(chain.network.id) !== known
      ? "foreign" : "refused");
    return;
  }
  if (known === null) askForGenesis(hex(chain.network.id));
  conclude(known === null ? "unpinned" : "proven");
  acceptFiles(chain);
}

/** Lets the reader hand a file in; only its hash is looked at, and it goes nowhere. */
function acceptFiles(chain) {
  const drop = part("drop");
  drop.hidden = false;
  const look = async file => {
    if (!file) return;
    const answer = part("file-answer");
    if (file.size > FILE_BYTES_MAX) {
      answer.dataset.state = "failed";
      answer.textContent = part("too-large").textContent;
      return;
    }
    const digest = hex(await sha256(new Uint8Array(await file.arrayBuffer())));
    const listed = chain.listed.find(each => each.sha256 === digest && each.size === file.size);
    answer.dataset.state = listed ? "passed" : "failed";
    answer.replaceChildren(
      element("strong", listed ? `✓ ${listed.path}` : `✗ ${part("not-listed").textContent}`),
      element("code", digest));
  };
  part("file").onchange = change => look(change.target.files[0]);
  drop.ondragover = event => {
    event.preventDefault();
    drop.dataset.over = "";
  };
  drop.ondragleave = () => delete drop.dataset.over;
  drop.ondrop = event => {
    event.preventDefault();
    delete drop.dataset.over;
    look(event.dataTransfer.files[0]);
  };
}

part("forget").onclick = () => {
  pin(null);
  location.reload();
};

if (!(await canVerify())) {
  conclude("unable");
} else {
  try {
    const answer = await fetch(page.dataset.proof, { cache: "no-store" });
    if (!answer.ok) throw new Refusal("proof", "a proof from this node", `HTTP ${answer.status}`);
    await check(await answer.json());
  } catch (error) {
    conclude("missing");
    part("missing").textContent = String(error.message ?? error);
  }
}
