// A click on a contact sheet shows the bigger image in place; without this script the link opens it.
(() => {
  const box = document.querySelector("dialog");
  if (!box || !box.showModal) return;
  const [picture, name, said] = ["img", "b", "span"].map((tag) => box.querySelector(tag));
  let links = [], place = 0;
  const show = (at) => {
    place = (at + links.length) % links.length;
    const link = links[place];
    picture.src = link.querySelector("img").src; // the small copy, until the file beside the report is read
    const big = new Image();
    big.onload = () => { if (links[place] === link) picture.src = big.src; };
    big.src = link.href;
    picture.alt = name.textContent = link.dataset.id;
    said.textContent = link.dataset.said;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".sheet a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    links = [...link.parentElement.querySelectorAll("a")];
    show(links.indexOf(link));
    box.showModal();
  });
  box.addEventListener("click", (event) => {
    const step = Number(event.target.dataset.step || 0);
    if (step) show(place + step);
    else if (event.target === box || event.target.dataset.step === "0") box.close();
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(place + step);
  });
})();
