// The page /report: sends the files of a report by tus 1.0, from wherever it was cut.

const PIECE_BYTES = 2 ** 20; // a cut may cost as much
const PAUSE_MS_MAX = 10_000;
const METADATA = ["metadata.toml", "metadata.json"]; // say what the package is; not handed in
const LITTER = [".ds_store", "thumbs.db", "desktop.ini"];
const SHOWN_MAX = 200;

const form = document.querySelector("[data-report]");
const part = name => form.querySelector(`[data-part="${name}"]`);
const told = part("told");
const send = form.querySelector("[type=submit]");
let chosen = []; // {path, file}
let guessed = ""; // a title that nobody typed
let stopping = new AbortController();

function say(key, why = "") {
  told.textContent = (told.dataset[key] ?? "").replace("#", why);
  told.dataset.state = key;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; count >= 1024 && unit < units.length - 1; unit += 1) count /= 1024;
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

// what is handed in

/** The files below a dropped entry, each with its path. */
async function* under(entry, prefix = "") {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    yield { path: prefix + entry.name, file };
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a reader gives some at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) yield* under(each, `${prefix}${entry.name}/`);
  }
}

/** A single folder is the package: its own name stands in no path, and is the title at first. */
async function choose(files) {
  const tops = new Set(files.map(({ path }) => path.includes("/") ? path.split("/")[0] : ""));
  const [top] = tops;
  if (tops.size === 1 && top) {
    files = files.map(({ path, file }) => ({ path: path.slice(top.length + 1), file }));
  }
  const metadata = files.find(({ path }) => METADATA.includes(path));
  chosen = files
    .filter(({ path }) => !METADATA.includes(path))
    .filter(({ path }) => !LITTER.includes(path.split("/").pop().toLowerCase()))
    .sort((a, b) => a.path < b.path ? -1 : 1);
  if (metadata) fill(metadata.path, await metadata.file.text());
  const name = top || chosen[0]?.path.replace(/\.[^.]*$/, "") || "";
  if ([guessed, ""].includes(form.elements.title.value)) form.elements.title.value = name;
  guessed = name;
  const size = chosen.reduce((sum, { file }) => sum + file.size, 0);
  part("chosen").textContent = part("chosen").dataset.some
    .replace("#", chosen.length).replace("@", bytes(size));
  send.disabled = chosen.length === 0;
  list();
}

function fill(name, text) {
  let said = {};
  if (name.endsWith(".json")) {
    try {
      said = JSON.parse(text.replace(/^\ufeff/, ""));
    } catch {
      return;
    }
  } else {
    for (const [, key, value] of text.matchAll(/^\s*(\w+)\s*=\s*"([^"\\]*)"\s*$/gm)) said[key] = value;
  }
  for (const key of ["title", "volume", "kind", "rights"]) {
    if (typeof said[key] === "string") form.elements[key].value = said[key];
  }
}

function list() {
  part("files").replaceChildren(...chosen.slice(0, SHOWN_MAX).map(({ path, file }) => {
    const row = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = path;
    const bar = document.createElement("progress");
    bar.max = file.size || 1;
    bar.value = 0;
    bar.setAttribute("aria-label", path);
    row.append(name, bar);
    return row;
  }));
}

function progress(number, offset) {
  const bar = part("files").children[number]?.querySelector("progress");
  if (bar) bar.value = offset;
}

// how it is sent

class Refused extends Error {
  constructor(status, said) {
    super(said.detail ?? `HTTP ${status}`);
    this.status = status;
  }
}

async function ask(method, path, body, headers = {}) {
  const answer = await fetch(path, {
    method,
    body,
    headers: { Authorization: `Bearer ${form.elements.token.value.trim()}`, ...headers },
    signal: stopping.signal,
  });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

async function json(path, value) {
  const headers = { "Content-Type": "application/json" };
  return (await ask("POST", path, JSON.stringify(value), headers)).json();
}

const lasting = error => error instanceof Refused && error.status < 500 && error.status !== 409;

/** Sends one file from `offset` to its end, over lines that break. */
async function upload(path, file, number, offset) {
  let pause = 250;
  const tus = { "Tus-Resumable": "1.0.0" };
  progress(number, offset);
  while (offset < file.size) {
    try {
      const piece = file.slice(offset, offset + PIECE_BYTES);
      const headers = { ...tus, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
      const answer = await ask("PATCH", path, piece, headers);
      offset = Number(answer.headers.get("Upload-Offset"));
      pause = 250;
      say("sending");
    } catch (error) {
      if (stopping.signal.aborted || lasting(error) || error.status === 507) throw error;
      say("waiting");
      await new Promise(resolve => { setTimeout(resolve, pause); });
      pause = Math.min(2 * pause, PAUSE_MS_MAX);
      try {
        offset = Number((await ask("HEAD", path, undefined, tus)).headers.get("Upload-Offset"));
      } catch (again) {
        if (stopping.signal.aborted || lasting(again)) throw again;
      }
    }
    progress(number, offset);
  }
}

function row(found) {
  const made = document.createElement("li");
  const badge = document.createElement("span");
  badge.className = found.severity === "error" ? "badge bad" : "badge muted";
  badge.textContent = part("findings").dataset[found.severity];
  made.append(badge, ` ${form.dataset.lang === "zh" ? found.zh : found.en} `);
  const facts = document.createElement("small");
  facts.textContent = [found.code, found.path].filter(Boolean).join(" · ");
  made.append(facts);
  return made;
}

function question(findings) {
  part("near").replaceChildren(...findings.map(row));
  part("question").hidden = false;
  part("question").focus();
  say("");
  return new Promise(resolve => {
    part("confirm").onclick = () => resolve(true);
    part("cancel").onclick = () => resolve(false);
  }).finally(() => { part("question").hidden = true; });
}

/** Asks with `confirm: false`, and once more when the clerk says that it is another one. */
async function asked(path, value) {
  const answer = await json(path, { ...value, confirm: false });
  if (answer.status !== "question") return answer;
  return await question(answer.findings) ? json(path, { ...value, confirm: true }) : null;
}

async function report() {
  const fields = form.elements;
  const record = {};
  for (const element of ["title", "volume", "kind"]) {
    if (fields[element].value.trim()) record[element] = fields[element].value.trim();
  }
  const known = fields.known.value.trim();
  if (known && record.title === guessed) delete record.title; // a revision keeps its own
  const files = chosen.map(({ path, file }) => (
    { path, size: file.size, modified: file.lastModified }));
  const begun = await asked(form.dataset.api, {
    office: fields.office?.value ?? "", item: known, record,
    rights: fields.rights.value, files,
  });
  if (!begun || !begun.report) return begun;
  const base = `${form.dataset.api}/${begun.report}`;
  for (const [number, { file }] of chosen.entries()) {
    say("sending");
    await upload(`${base}/files/${number}`, file, number, begun.files[number].offset);
  }
  say("checking");
  return asked(`${base}/submit`, {});
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  stopping = new AbortController();
  send.disabled = true;
  part("stop").hidden = false;
  part("done").hidden = true;
  part("findings").replaceChildren();
  try {
    const result = await report();
    if (result) {
      say(result.status);
      part("findings").replaceChildren(...result.findings.map(row));
    } else {
      say("stopped");
    }
    if (result?.status === "submitted") {
      const [path, query] = form.dataset.itemPage.split("?");
      part("done").firstElementChild.href = path + result.item + (query ? `?${query}` : "");
      part("done").hidden = false;
      part("done").firstElementChild.focus();
    }
  } catch (error) {
    if (stopping.signal.aborted) say("stopped");
    else if (error.status === 401) say("noToken");
    else say("failed", error.message);
  }
  part("stop").hidden = true;
  send.disabled = false;
});

form.elements.known.addEventListener("input", event => {
  form.elements.title.required = !event.target.value.trim();
});
part("stop").addEventListener("click", () => stopping.abort());
for (const name of ["folder", "files"]) {
  form.elements[name].addEventListener("change", event => {
    choose([...event.target.files].map(file => ({ path: file.webkitRelativePath || file.name, file })));
  });
}
const drop = part("drop");
drop.addEventListener("dragover", event => {
  event.preventDefault();
  drop.dataset.over = "";
});
drop.addEventListener("dragleave", () => delete drop.dataset.over);
drop.addEventListener("drop", async event => {
  event.preventDefault();
  delete drop.dataset.over;
  const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry()).filter(Boolean);
  const files = [];
  for (const entry of entries) for await (const each of under(entry)) files.push(each);
  await choose(files);
});
