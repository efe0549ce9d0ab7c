// The grid: one page of small images; the files beside the page are asked for when they come near the window.
const grid = document.getElementById("galaxy-grid");
const small = new Map([...grid.querySelectorAll("a")].map((link) => [Number(link.dataset.row), link.querySelector("img").src]));
for (const [row, coded] of Object.entries(data.thumbs)) small.set(Number(row), `data:image/jpeg;base64,${coded}`);

const BLANK = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

function made(tag, given = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...inside);
  return node;
}

const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) { near.unobserve(target); load(target); }
}, { rootMargin: "300px" });

// Lets a picture stand out of its frame, which hides all but the box; without a box the frame shows the whole.
function crop(picture, box, width = 0, height = 0) {
  const frame = picture.parentElement, [x0, y0, x1, y1] = box ?? [0, 0, 0, 0], inside = x1 > 0 && x1 <= width && y1 <= height;
  const share = (part, of) => `${(100 * part) / of}%`;
  frame.classList.toggle("cropped", inside);
  frame.style.setProperty("--box", inside ? `${x1 - x0} / ${y1 - y0}` : "");
  const placed = { width: share(width, x1 - x0), left: share(-x0, x1 - x0), top: share(-y0, y1 - y0) };
  for (const name of ["width", "left", "top"]) picture.style[name] = inside ? placed[name] : "";
}

// Shows the file itself; where it is not beside the page, the small copy stays.
function load(picture) {
  const row = Number(picture.closest("a").dataset.row), whole = new Image();
  whole.onload = () => { crop(picture, colourBox(row), whole.naturalWidth, whole.naturalHeight); picture.src = whole.src; };
  whole.onerror = () => picture.closest("a").classList.toggle("gone", !small.has(row));
  whole.src = address("image", row);
}

const short = (name, row, digits) => (Number.isFinite(number(name, row)) ? number(name, row).toFixed(digits) : NOTHING);

function caption(row) {
  const other = view.sort.replace("worst:", ""), mag = `${short("mag_ref", row, 1)} mag`;
  if (["", "mag_ref", "r50"].includes(other)) return `${mag} · r50 ${short("r50", row, 2)}″`;
  return `${mag} · ${sorts().find(([name]) => name === other)[1]} ${text(other, row)}`;
}

function cell(row) {
  const verdict = text("verdict", row), name = text("id_str", row);
  const picture = made("img", { alt: name, width: 132, height: 132, src: small.get(row) ?? BLANK });
  const link = made("a", { href: address("image", row), className: verdict, target: "_blank", rel: "noopener" }, made("i", { className: "frame" }, picture));
  link.dataset.row = row;
  const told = ["warn", "fail"].includes(verdict) ? `${verdict}: ${text("reasons", row)}` : name;
  link.append(made("span", { title: told }, caption(row)));
  return link;
}

function fill(rows) {
  near.disconnect();
  grid.replaceChildren(...rows.map(cell));
  for (const picture of grid.querySelectorAll("img")) near.observe(picture);
}
