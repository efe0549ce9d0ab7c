// One galaxy: its image, its bands, its row of the catalog, links out, and the next one.
const box = document.getElementById("galaxy");
const part = (name) => box.querySelector(`[data-part="${name}"]`);
let opened = -1;

function fact(name, row) {
  const column = data.columns[name], error = `${name}_err`, value = text(name, row);
  const spread = has(error) && Number.isFinite(number(error, row)) ? ` ± ${text(error, row)}` : "";
  const apart = "″°".includes(column.unit) ? "" : " ", unit = column.unit && value !== NOTHING ? apart + column.unit : "";
  const head = made("dt", { title: column.said ? `${name}: ${column.said}` : name }, column.words);
  return value === "" ? [] : [head, made("dd", {}, value + spread + unit)];
}

function group(title, row) {
  const names = Object.keys(data.columns).filter((name) => data.columns[name].group === title);
  const shown = names.filter((name) => !(name.endsWith("_err") && has(name.slice(0, -4))));
  return shown.length ? [made("section", {}, made("h3", {}, title), made("dl", {}, ...shown.flatMap((name) => fact(name, row))))] : [];
}

function flagList(row) {
  const items = flagsOf(row).map(([, name, meaning]) => made("li", {}, made("b", {}, name), ` ${meaning}`));
  const list = items.length ? made("ul", {}, ...items) : made("p", {}, "none");
  return made("section", {}, made("h3", {}, "Flags"), list);
}

function links(row) {
  const sky = skyViewer(row), there = (name) => text(name, row) !== "";
  const out = (href, words) => made("a", { href, target: "_blank", rel: "noopener" }, words);
  return [
    ...(sky ? [out(sky, "sky viewer ↗")] : []),
    ...(there("cutout") ? [out(address("cutout", row), "cutout (FITS)")] : []),
    out(address("image", row), colourBox(row) ? "image file (colour and bands)" : "image file"),
    ...(there("strip") ? [out(address("strip", row), "bands file")] : []),
  ];
}

function showPicture(row) {
  const picture = part("image"), whole = new Image();
  crop(picture);
  picture.src = small.get(row) ?? BLANK;
  picture.alt = text("id_str", row);
  part("missing").hidden = true;
  whole.onload = () => {
    if (opened !== row) return;
    crop(picture, colourBox(row), whole.naturalWidth, whole.naturalHeight);
    picture.src = whole.src;
  };
  whole.onerror = () => { if (opened === row) part("missing").hidden = false; };
  whole.src = address("image", row);
}

// The bands as the image file itself holds them beside the colour picture.
function panelTile(row, { name, box }) {
  const picture = made("img", { alt: name }), tile = made("span", {}, made("i", { className: "frame" }, picture), name);
  picture.onload = () => crop(picture, box, picture.naturalWidth, picture.naturalHeight);
  picture.src = address("image", row);
  return tile;
}

function showStrip(row) {
  const there = text("strip", row) !== "", panels = there ? [] : panelsOf(row).filter(({ name }) => name !== "rgb");
  const bands = there ? text("strip_bands", row).split(",").filter(Boolean) : panels.map(({ name }) => name);
  const holder = part("strip");
  holder.style.setProperty("--bands", bands.length || 1);
  const say = (words) => holder.replaceChildren(made("p", {}, words));
  if (panels.length) return holder.replaceChildren(made("p", { className: "bands" }, ...panels.map((one) => panelTile(row, one))));
  if (!there) return say("No picture of the single bands was made.");
  const picture = made("img", { alt: `bands ${bands.join(", ")}`, src: address("strip", row) });
  picture.onerror = () => say("The picture of the single bands is not beside this page.");
  holder.replaceChildren(picture, made("p", { className: "bands" }, ...bands.map((band) => made("span", {}, band))));
}

function showDetail(row, place, count) {
  opened = row;
  part("name").textContent = text("id_str", row);
  part("place").textContent = `${place + 1} of ${count}`;
  const verdict = text("verdict", row);
  const why = verdict === "pass" ? "" : `: ${text("reasons", row)}`;
  part("verdict").textContent = verdict ? `automatic checks: ${verdict}${why}` : "";
  part("across").textContent = `${short("fov_arcsec", row, 2)}″ across`;
  part("verdict").className = `verdict ${verdict}`;
  showPicture(row);
  showStrip(row);
  part("links").replaceChildren(...links(row));
  const titles = ["Name", "Position", "Light", "Magnitudes", "Size and shape", "Image", "Quality"];
  const groups = titles.map((title) => group(title, row));
  part("facts").replaceChildren(flagList(row), ...groups.flat());
  if (!box.open) box.showModal();
}

async function copyName() {
  const name = part("name"), button = part("copy");
  try {
    await navigator.clipboard.writeText(name.textContent);
    button.textContent = "copied";
  } catch {
    getSelection().selectAllChildren(name); // the page may not write to the clipboard: the name is marked instead
    button.textContent = "marked: press Ctrl C";
  }
  setTimeout(() => { button.textContent = "copy name"; }, 1500);
}
