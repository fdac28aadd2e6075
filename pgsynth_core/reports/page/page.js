"use strict";
// Orders pairs, hides error maps, enlarges pictures. Without it the page shows everything all the same.

const box = document.getElementById("box");
const grids = [...document.querySelectorAll(".grid")];

// ---------------------------------------------------------------- order
function worth(pair, by, of) {
  const values = JSON.parse(pair.dataset.values)[by].filter((value, at) => value !== null && (of === "mean" || at === +of));
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

function apart(pair, by) {
  const values = JSON.parse(pair.dataset.values)[by].filter((value) => value !== null);
  return values.length > 1 ? Math.max(...values) - Math.min(...values) : null;
}

function arrange(grid, form) {
  const order = form.order.value, by = +form.by.value, of = form.of ? form.of.value : "mean";
  const sign = JSON.parse(form.dataset.signs)[by];
  const key = (pair) => {
    if (order === "listed") return +pair.dataset.listed;
    const value = order === "apart" ? apart(pair, by) : worth(pair, by, of);
    if (value === null) return Infinity; // what has no value comes last
    return order === "apart" ? -value : order === "worst" ? sign * value : -sign * value;
  };
  const pairs = grid.querySelector(".pairs");
  const keyed = [...pairs.children].map((pair) => [key(pair), +pair.dataset.listed, pair]);
  keyed.sort((one, other) => (one[0] < other[0] ? -1 : one[0] > other[0] ? 1 : one[1] - other[1]));
  pairs.append(...keyed.map((one) => one[2]));
  const words = (select) => select.selectedOptions[0].textContent;
  const over = order === "listed" ? "" : ` by ${words(form.by)}` + (form.of && order !== "apart" ? `, ${words(form.of)}` : "");
  grid.querySelector(".order").textContent = `${words(form.order)}${over}`;
}

for (const grid of grids) {
  const form = grid.querySelector(".controls");
  if (!form) continue;
  form.hidden = false;
  form.addEventListener("change", (event) => {
    if (event.target.name === "errors") grid.classList.toggle("plain", !event.target.checked);
    else arrange(grid, form);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
}

// ---------------------------------------------------------------- enlarged
let at = null;

const seen = (button) => button.offsetParent !== null;
const row = (button) => button.closest(".cells, .strip") || button.closest("section");
const buttons = (place) => [...place.querySelectorAll(".zoom")].filter(seen);

function show(button) {
  const from = button.querySelector("img"), to = box.querySelector("img");
  at = button;
  to.src = from.src;
  to.alt = from.alt;
  to.className = from.className;
  const [width, height] = ["width", "height"].map((side) => +from.getAttribute(side));
  const scale = Math.min((0.94 * innerWidth) / width, (0.8 * innerHeight) / height);
  to.style.width = `${Math.round(width * scale)}px`; // a small picture grows
  to.style.height = `${Math.round(height * scale)}px`;
  const values = button.closest("figure").querySelectorAll(".value");
  box.querySelector("b").textContent = from.alt + (values.length ? ": " + [...values].map((one) => one.textContent).join(", ") : "");
  if (!box.open) box.showModal();
}

function along(by) {
  const all = buttons(row(at)), to = all[all.indexOf(at) + by];
  if (to) show(to);
}

function across(by) {
  const here = row(at), place = buttons(here).indexOf(at);
  const rows = [...here.closest("section").querySelectorAll(".cells, .strip")];
  const to = rows.length > 1 ? rows[rows.indexOf(here) + by] : null;
  const all = to ? buttons(to) : [];
  if (all.length) show(all[Math.min(place, all.length - 1)]);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".zoom");
  if (button) show(button);
  else if (box.open && (event.target === box || event.target.closest(".close"))) box.close();
});

box.addEventListener("keydown", (event) => {
  const keys = { ArrowLeft: [along, -1], ArrowRight: [along, 1], ArrowUp: [across, -1], ArrowDown: [across, 1] };
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key][0](keys[event.key][1]);
});

box.addEventListener("close", () => {
  if (at) at.focus();
});

// ---------------------------------------------------------------- paper
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not([open])")) {
    folded.open = true;
    folded.dataset.folded = "";
  }
});
addEventListener("afterprint", () => {
  for (const folded of document.querySelectorAll("details[data-folded]")) folded.open = false;
});
