// The search box: suggests titles, places, headings and words while it is typed into, as a
// combobox with a listbox (WAI-ARIA).  Without this script the box is a plain one.

const PAUSE_MS = 50;
const WORDS_SHOWN = 4;

const form = document.querySelector("form[data-suggest]");
const box = form.querySelector("input[name=q]");
const list = form.querySelector("[role=listbox]");
const told = form.querySelector("[data-part=told]");
const language = new URLSearchParams(location.search).get("lang");

let choices = []; // what each option stands for
let active = -1; // the option that Enter chooses; -1: what is typed
let timer = 0;
let asking = new AbortController();

/** The text in parts, of which the second one was typed; ``from`` and ``to`` count code points. */
function parts(text, [from, to]) {
  const points = [...text];
  return [points.slice(0, from), points.slice(from, to), points.slice(to)].map(p => p.join(""));
}

function span(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

function option({ kind, text, marked, pages, note }, index) {
  const made = document.createElement("li");
  made.id = `suggestion-${index}`;
  made.setAttribute("role", "option");
  made.setAttribute("aria-selected", "false");
  const name = span("name", "");
  name.lang = "zh-Hans";
  const [before, typed, after] = parts(text, marked);
  const mark = document.createElement("mark");
  mark.textContent = typed;
  name.append(before, mark, after);
  if (note) name.append(span("note", note));
  const counted = pages ? list.dataset.pages.replace("#", pages) : "";
  made.append(span("kind", list.dataset[kind]), name, span("count", counted));
  made.addEventListener("pointerdown", event => {
    event.preventDefault(); // the box keeps the focus
    choose(index);
  });
  return made;
}

function close() {
  list.hidden = true;
  active = -1;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

function show(answer) {
  const words = answer.words.slice(0, WORDS_SHOWN).map(({ text, pages }) => (
    { kind: "word", text, pages, marked: [0, [...text].length], sources: [] }));
  const names = answer.suggestions.map(({ count, ...rest }) => ({ ...rest, pages: count }));
  choices = [...words, ...names];
  close();
  list.replaceChildren(...choices.map(option));
  told.textContent = (choices.length ? told.dataset.some : told.dataset.none)
    .replace("#", choices.length);
  list.hidden = choices.length === 0;
  box.setAttribute("aria-expanded", String(!list.hidden));
}

function activate(index) {
  list.children[active]?.setAttribute("aria-selected", "false");
  active = index;
  const row = list.children[active];
  if (!row) {
    box.removeAttribute("aria-activedescendant");
    return;
  }
  row.setAttribute("aria-selected", "true");
  row.scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", row.id);
}

/** A title of one item leads to it, a place of one office there; anything else is searched for. */
function choose(index) {
  const { kind, text, sources } = choices[index];
  const path = kind === "place" && sources.length === 1 ? `/o/${sources[0]}/`
    : kind === "title" && sources.length === 1 ? `/items/${encodeURIComponent(sources[0])}` : "";
  close();
  if (path) {
    location.assign(language ? `${path}?lang=${encodeURIComponent(language)}` : path);
  } else {
    box.value = text;
    form.requestSubmit();
  }
}

async function ask() {
  asking.abort();
  asking = new AbortController();
  const typed = box.value.trim();
  if (!typed || [...typed].length > Number(form.dataset.charsMax)) {
    told.textContent = "";
    close();
    return;
  }
  try {
    const address = `${form.dataset.suggest}?q=${encodeURIComponent(typed.toWellFormed?.() ?? typed)}`;
    const answer = await fetch(address, { signal: asking.signal });
    if (answer.ok) show(await answer.json());
  } catch {
    // typed on, or the node is away: nothing is suggested
  }
}

box.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
});

box.addEventListener("keydown", event => {
  if (event.isComposing) return; // the keys are the input method's
  const count = choices.length;
  if (list.hidden) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      ask();
    }
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1; // over the ends by way of what is typed
    activate((active + 1 + step + count + 1) % (count + 1) - 1);
  } else if (event.key === "Enter" && active >= 0) {
    event.preventDefault();
    choose(active);
  } else if (event.key === "Escape") {
    event.preventDefault(); // or the browser empties the box
    close();
  }
});

box.addEventListener("blur", () => {
  clearTimeout(timer);
  asking.abort();
  close();
});

form.addEventListener("submit", () => {
  clearTimeout(timer);
  asking.abort();
});

box.setAttribute("role", "combobox");
box.setAttribute("aria-autocomplete", "list");
box.setAttribute("aria-controls", list.id);
box.setAttribute("aria-expanded", "false");
