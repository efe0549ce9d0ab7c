// Puts the view on the page, and follows what a person does with it.
const explorer = document.getElementById("explorer");
const form = document.getElementById("galaxy-filter");
const counted = document.getElementById("galaxy-count");
const pagers = [...explorer.querySelectorAll(".pager")];
let rows = [], arrangedFor = "", drawn = "", waiting = 0;
let under = null; // the address of the grid that an opened galaxy lies over in the history

const total = (count) => count.toLocaleString("en").replaceAll(",", "\u202f");
const pages = () => Math.max(1, Math.ceil(rows.length / data.page));
const clamp = (page) => Math.min(Math.max(1, Math.trunc(Number(page)) || 1), pages());

function arrange() {
  const { page, id, ...rest } = view, wanted = JSON.stringify(rest);
  if (wanted !== arrangedFor) rows = arranged(view);
  arrangedFor = wanted;
}

function draw() {
  arrange();
  const place = view.id === "" ? -1 : rows.findIndex((row) => text("id_str", row) === view.id);
  view.page = String(place < 0 ? clamp(view.page) : Math.floor(place / data.page) + 1);
  const first = (Number(view.page) - 1) * data.page, shown = rows.slice(first, first + data.page);
  const wanted = `${view.sort}|${shown.join()}`;
  if (wanted !== drawn) fill(shown);
  drawn = wanted;
  tell(place);
  if (place >= 0) showDetail(rows[place], place, rows.length);
  else if (box.open) box.close();
}

function tell(place) {
  const lost = view.id !== "" && place < 0 ? ` ${view.id} is not among them.` : "";
  counted.textContent = `${total(rows.length)} of ${total(data.count)} galaxies.${lost}`;
  for (const input of form.elements) if (input.name && input !== document.activeElement) input.value = view[input.name];
  form.elements.down.disabled = view.sort === "" || isWorst(view.sort);
  for (const pager of pagers) {
    pager.hidden = pages() === 1;
    pager.querySelector("span").textContent = `page ${view.page} of ${total(pages())}`;
    pager.querySelector('[data-turn="-1"]').disabled = view.page === "1";
    pager.querySelector('[data-turn="1"]').disabled = Number(view.page) === pages();
  }
  for (const button of explorer.querySelectorAll("[data-sheet]")) {
    const sheet = data.sheets[button.dataset.sheet], down = sheet.down && !isWorst(sheet.sort) ? "1" : "";
    const chosen = sheet.sort === view.sort && down === view.down && sheet.verdict === view.verdict;
    button.setAttribute("aria-pressed", String(chosen));
  }
}

function go(changes) {
  const opens = Boolean(changes.id) && !box.open;
  if (opens && waiting) { forget(); tellAddress(); }
  view = { ...view, ...changes };
  draw();
  if (opens) visit();
  else remember();
}

const tellAddress = () => history.replaceState(history.state, "", hashOf(view));

// An opened galaxy is one step of the history: Back closes it. Stepping to another one replaces it.
function visit() {
  under = location.hash;
  history.pushState({ galaxy: true }, "", hashOf(view));
}

// Browsers allow few changes of the address: of a burst, such as a held key, the first and the last are made.
function remember() {
  if (waiting === 0) tellAddress();
  forget();
  waiting = setTimeout(() => { waiting = 0; if (location.hash !== hashOf(view)) tellAddress(); }, 250);
}

function forget() { clearTimeout(waiting); waiting = 0; }

function follow() {
  forget();
  const back = location.hash === under, told = viewOf(location.hash), page = view.page;
  under = null;
  if (!told && !back && !box.open) return;
  view = told ?? { ...view, id: "" };
  const turned = back && page !== (told?.page ?? EMPTY.page); // with the galaxies that were stepped through
  if (back) view.page = page;
  draw();
  if (turned) tellAddress();
  if (told && !back && !box.open) explorer.scrollIntoView();
}

// Closed by a person: what was opened from the grid goes back to it, an address that opened a galaxy loses it.
function leave() {
  opened = -1;
  if (view.id === "") return;
  if (!history.state?.galaxy) { go({ id: "" }); return; }
  forget();
  view = { ...view, id: "" };
  history.back();
}

function neighbour(by) {
  const place = rows.indexOf(opened), next = rows[(place + by + rows.length) % rows.length];
  if (place >= 0) go({ id: text("id_str", next) });
}

function option(value, words) { return made("option", { value }, words); }

function prepare() {
  const { field, flag, verdict, sort } = form.elements;
  field.append(...(data.columns.field.choices ?? []).map((name) => option(name, name)));
  const used = data.flags.filter(([bit]) => steps(data.columns.flags).some((flags) => flags & bit)).map((one) => one[1]);
  flag.append(option("none", "no flag at all"));
  flag.append(...used.flatMap((name) => [option(name, `with ${name}`), option(`-${name}`, `without ${name}`)]));
  const verdicts = (data.columns.verdict?.choices ?? []).filter(Boolean);
  verdict.append(...verdicts.map((name) => option(name, name)));
  verdict.closest("label").hidden = verdicts.length === 0;
  for (const [column, name] of [["mag_ref", "mag"], ["r50", "r50"]]) {
    const known = Array.from({ length: data.count }, (_, row) => number(column, row)).filter(Number.isFinite).sort((a, b) => a - b);
    form.elements[`${name}_min`].placeholder = known[0]?.toFixed(2) ?? "";
    form.elements[`${name}_max`].placeholder = known.at(-1)?.toFixed(2) ?? "";
  }
  sort.replaceChildren(...sorts().map(([name, words]) => option(name, words)));
  form.querySelector("details").open = matchMedia("(min-width: 700px)").matches;
  for (const hidden of explorer.querySelectorAll("[data-live]")) hidden.hidden = false;
}

form.addEventListener("input", ({ target }) => go({ [target.name]: target.value, page: "1" }));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => { event.preventDefault(); document.activeElement.blur(); go({ ...EMPTY }); });
explorer.addEventListener("click", (event) => {
  const { sheet, turn } = event.target.closest("button")?.dataset ?? {};
  if (sheet !== undefined) {
    const { sort, down, verdict } = data.sheets[sheet];
    go({ ...EMPTY, sort, verdict, down: down && !isWorst(sort) ? "1" : "" });
  }
  if (turn !== undefined) {
    go({ page: String(Number(view.page) + Number(turn)) });
    if (event.target.closest(".below")) explorer.scrollIntoView();
  }
  const link = event.target.closest(".sheet a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ id: text("id_str", Number(link.dataset.row)) });
});
box.addEventListener("click", ({ target }) => {
  if (target.dataset.turn) neighbour(Number(target.dataset.turn));
  else if (target.dataset.part === "copy") copyName();
  else if (target === box || target.dataset.part === "close") box.close();
});
box.addEventListener("keydown", (event) => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by) { event.preventDefault(); neighbour(by); }
});
box.addEventListener("close", leave);
addEventListener("hashchange", follow);
prepare();
if (location.hash.startsWith(PLACE)) follow();
else draw();
