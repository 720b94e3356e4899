// The page /recall: opens an item for this office, then fetches its files piece by piece, from
// wherever the line was cut, and checks each against its hash before it is saved.

const PIECE_BYTES = 8 * 2 ** 20;
const TRIES = 20;
const PAUSE_MS = 1_000;

const form = document.querySelector("[data-recall]");
const part = name => form.querySelector(`[data-part="${name}"]`);
const told = part("told");

function say(key, what = "", done = "") {
  told.textContent = told.dataset[key].replace("#", what).replace("@", done);
  told.dataset.state = key;
}

const headers = () => ({ Authorization: `Bearer ${form.elements.token.value.trim()}` });

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  return problem.detail ?? answer.statusText;
}

/** The result of an operator's command: the last of its lines. */
async function operate(command, body) {
  const answer = await fetch(`/api/v1/operate/${command}`, {
    method: "POST",
    headers: { ...headers(), "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await refusal(answer));
  const lines = (await answer.text()).trim().split("\n").map(line => JSON.parse(line));
  const last = lines[lines.length - 1];
  if (last.problem) throw new Error(last.problem.detail);
  return last.result;
}

/** One range; a line that is cut is tried again, a refusal is not. */
async function piece(url, first, last) {
  for (let tried = 1; ; tried += 1) {
    try {
      const answer = await fetch(url, { headers: { ...headers(), Range: `bytes=${first}-${last}` } });
      if (answer.status >= 400 && answer.status < 500) throw new Error(await refusal(answer), { cause: "refused" });
      if (!answer.ok) throw new Error(answer.statusText);
      return await answer.arrayBuffer();
    } catch (error) {
      if (error.cause === "refused" || tried === TRIES) throw error;
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS));
    }
  }
}

async function save(item, file) {
  const pieces = [];
  for (let at = 0; at < file.size; at += PIECE_BYTES) {
    const last = Math.min(at + PIECE_BYTES, file.size) - 1;
    pieces.push(new Blob([await piece(`/api/v1/items/${item}/recall/${file.sha256}`, at, last)]));
    say("fetching", file.path, `${Math.round(100 * (last + 1) / file.size)}%`);
  }
  const whole = new Blob(pieces);
  if (globalThis.crypto?.subtle && whole.size <= 2 ** 30) { // a browser hashes only what is in memory
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await whole.arrayBuffer()));
    const hex = [...digest].map(byte => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== file.sha256) return say("another", file.path);
  }
  download(whole, file.path.split("/").pop());
  return say("done", file.path);
}

function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** The receipt with the proof of every access; till those are witnessed the node says so. */
async function prove(receipt) {
  const told = await operate("recall_proof", { receipt });
  download(new Blob([told.proof]), "调取回执.receipt.json");
  say("proven");
}

function list(opened) {
  part("files").replaceChildren(...opened.files.map(file => {
    const row = document.createElement("li");
    const get = document.createElement("button");
    get.type = "button";
    get.className = "button quiet";
    get.textContent = part("files").dataset.get;
    get.addEventListener("click", () => save(opened.item, file).catch(error => say("failed", error.message)));
    row.append(`${file.path} `, get);
    return row;
  }));
  const receipt = part("receipt");
  receipt.querySelector("a").href = URL.createObjectURL(new Blob([`${opened.receipt}\n`]));
  receipt.querySelector("button").onclick = () => prove(opened.receipt).catch(error => say("failed", error.message));
  receipt.hidden = false;
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  say("asking");
  try {
    const opened = await operate("recall", { what: form.elements.what.value.trim() });
    list(opened);
    say("open", opened.accesses.map(({ office, index }) => `${office} ${index}`).join(", "));
  } catch (error) {
    part("files").replaceChildren();
    part("receipt").hidden = true;
    say("failed", error.message);
  }
});
