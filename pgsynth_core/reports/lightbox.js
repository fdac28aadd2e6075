"use strict";
// Enlarges pictures: a click or Enter on one, and keys that go on to others. The page says where they lead, and may say more.

const box = document.getElementById("box");
const lightbox = {
  at: null, // the button whose picture is enlarged
  keys: {}, // the page's: key -> the button that comes next, or nothing
  said: (button) => button.querySelector("img").alt,
  shown: () => {}, // told of the button whenever another picture is enlarged
};

const seen = (button) => button.offsetParent !== null;

function fit(width, height, room = [0.94 * innerWidth, 0.8 * innerHeight]) {
  const scale = Math.min(room[0] / width, room[1] / height); // a small picture grows
  box.querySelector("img").style.width = `${Math.round(width * scale)}px`;
  box.querySelector("img").style.height = `${Math.round(height * scale)}px`;
}

function enlarge(button) {
  const from = button.querySelector("img"), to = box.querySelector("img");
  lightbox.at = button;
  to.src = from.src;
  to.alt = from.alt;
  to.className = from.className;
  fit(+from.getAttribute("width"), +from.getAttribute("height"));
  box.querySelector("b").textContent = lightbox.said(button);
  if (!box.open) box.showModal();
  lightbox.shown(button);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".zoom");
  if (button) enlarge(button);
  else if (box.open && (event.target === box || event.target.closest(".close"))) box.close();
});

box.addEventListener("keydown", (event) => {
  if (!(event.key in lightbox.keys)) return;
  event.preventDefault();
  const next = lightbox.keys[event.key]();
  if (next) enlarge(next);
});

box.addEventListener("close", () => {
  if (lightbox.at) lightbox.at.focus();
});

