// Which galaxies are shown and in what order: the view, its place in the address, filtering and sorting.
const EMPTY = {
  q: "", mag_min: "", mag_max: "", r50_min: "", r50_max: "", field: "", flag: "", verdict: "",
  sort: "", down: "", page: "1", id: "",
};
const PLACE = "#images?";
let view = { ...EMPTY };

function viewOf(hash) {
  if (!hash.startsWith(PLACE)) return null;
  const told = new URLSearchParams(hash.slice(PLACE.length)), made = { ...EMPTY };
  for (const name of Object.keys(EMPTY)) if (told.has(name)) made[name] = told.get(name);
  if (made.sort && !sorts().some(([name]) => name === made.sort)) made.sort = "";
  return made;
}

function hashOf(shown) {
  const told = Object.entries(shown).filter(([name, value]) => value !== EMPTY[name]);
  return told.length ? PLACE + new URLSearchParams(told) : "#images";
}

// Names and words of everything there is to sort by.
function sorts() {
  const plain = [["", "random"], ["mag_ref", "magnitude"], ["r50", "half-light radius"], ["fov_arcsec", "field of view"]];
  const measures = Object.keys(data.measures);
  const worded = (name) => data.columns[name].words;
  return [
    ...plain,
    ...measures.map((name) => [name, worded(name)]),
    ...measures.map((name) => [`worst:${name}`, `worst ${worded(name)}`]),
  ];
}

const isWorst = (sort) => sort.startsWith("worst:");

// What a galaxy is sorted by; NaN = not known. The worst lie farthest from the measure's good range.
function key(sort, row) {
  if (!isWorst(sort)) return number(sort, row);
  const name = sort.slice("worst:".length), value = number(name, row);
  const [low, high] = data.measures[name];
  return Math.max((low ?? -Infinity) - value, value - (high ?? Infinity));
}

function within(name, low, high) {
  const from = low === "" ? -Infinity : Number(low), to = high === "" ? Infinity : Number(high);
  return low === "" && high === "" ? null : (row) => number(name, row) >= from && number(name, row) <= to;
}

function flagged(wanted) {
  if (wanted === "") return null;
  if (wanted === "none") return (row) => number("flags", row) === 0;
  const without = wanted.startsWith("-"), name = without ? wanted.slice(1) : wanted;
  const bit = data.flags.find((one) => one[1] === name)?.[0] ?? 0;
  return (row) => Boolean(number("flags", row) & bit) !== without;
}

function named(wanted) {
  const lower = wanted.trim().toLowerCase();
  const holds = (name, row) => text(name, row).toLowerCase().includes(lower);
  return lower === "" ? null : (row) => holds("id_str", row) || holds("ext_id", row);
}

const same = (name, wanted) => (wanted === "" ? null : (row) => text(name, row) === wanted);

// Numbers of the rows that pass every filter, in the order of the view.
function arranged(shown) {
  const tests = [
    within("mag_ref", shown.mag_min, shown.mag_max), within("r50", shown.r50_min, shown.r50_max),
    same("field", shown.field), same("verdict", shown.verdict), flagged(shown.flag), named(shown.q),
  ].filter(Boolean);
  const rows = [];
  for (let row = 0; row < data.count; row++) if (tests.every((passes) => passes(row))) rows.push(row);
  if (shown.sort === "") return rows;
  const sign = shown.down || isWorst(shown.sort) ? -1 : 1, keys = new Float64Array(data.count);
  for (const row of rows) {
    const value = sign * key(shown.sort, row);
    keys[row] = Number.isNaN(value) ? Infinity : value;
  }
  const apart = (a, b) => (keys[a] === keys[b] ? a - b : keys[a] - keys[b]);
  return rows.sort(apart);
}
