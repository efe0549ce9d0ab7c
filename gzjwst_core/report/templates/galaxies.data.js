// Columns of the galaxies, read back from the page: how they are packed says publish/packing.py.
const data = JSON.parse(document.getElementById("galaxy-data").textContent);
const NOTHING = "–";
const unpacked = new Map();

function steps(packed) {
  if (!unpacked.has(packed)) {
    const bytes = Uint8Array.from(atob(packed.data), (one) => one.charCodeAt(0)).buffer;
    const kind = { 16: Int16Array, 32: Int32Array, 64: Float64Array }[packed.bits];
    unpacked.set(packed, new kind(bytes));
  }
  return unpacked.get(packed);
}

function step(packed, row) {
  const value = steps(packed)[row];
  if (packed.bits === 64) return value;
  return value === -(2 ** (packed.bits - 1)) ? NaN : value / 10 ** packed.digits;
}

const has = (name) => name in data.columns;
const number = (name, row) => step(data.columns[name], row);

function text(name, row) {
  const column = data.columns[name];
  if (column === undefined) return "";
  if (column.choices) return column.choices[step(column.of, row)];
  if (column.texts) return column.prefix + column.texts[row];
  if (column.but) return row in column.but ? column.but[row] : path(column.like, row);
  const value = step(column, row);
  return Number.isFinite(value) ? value.toFixed(column.digits) : NOTHING;
}

// Survey before the last _J; in the coordinates + is p and - is m, as files are named.
function path(like, row) {
  const name = text("id_str", row), at = name.lastIndexOf("_J");
  const begin = at < 0 ? "" : name.slice(0, at + 2), end = at < 0 ? name : name.slice(at + 2);
  const stem = begin + end.replaceAll("+", "p").replaceAll("-", "m");
  return like.split("{field}").join(text("field", row)).split("{stem}").join(stem);
}

// An address beside the page: every part is encoded, so that no name is taken for a scheme, a query or an anchor.
const address = (name, row) => text(name, row).split("/").map(encodeURIComponent).join("/");

// Panels of an image that is a grid: name and box (x0, y0, x1, y1 in the file's pixels) each; none = the colour alone.
function panelsOf(row) {
  const found = [...text("panels", row).matchAll(/([^ =]+)=(\d+),(\d+),(\d+),(\d+)/g)];
  return found.map(([, name, ...box]) => ({ name, box: box.map(Number) })).filter(({ box: [x0, y0, x1, y1] }) => x0 < x1 && y0 < y1);
}

const colourBox = (row) => panelsOf(row).find(({ name }) => name === "rgb")?.box;

function skyViewer(row) {
  const signed = (value, digits, sign) => (sign && !(value < 0) ? "+" : "") + value.toFixed(digits);
  const part = ([what, digits, sign]) => (digits === undefined ? text(what, row) : signed(number(what, row), digits, sign));
  const whole = data.link ? data.link.map((one) => (one.text === undefined ? part(one.of) : one.text)).join("") : data.links[row];
  return /^https?:\/\//.test(whole) ? whole : "";
}

const flagsOf = (row) => data.flags.filter(([bit]) => number("flags", row) & bit);
