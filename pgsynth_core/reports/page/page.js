// Orders pairs, hides error maps, says what keys do at an enlarged picture. Without it the page shows everything all the same.

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
const row = (button) => button.closest(".cells, .strip") || button.closest("section");
const buttons = (place) => [...place.querySelectorAll(".zoom")].filter(seen);

function along(by) {
  const all = buttons(row(lightbox.at));
  return all[all.indexOf(lightbox.at) + by];
}

function across(by) {
  const here = row(lightbox.at), place = buttons(here).indexOf(lightbox.at);
  const rows = [...here.closest("section").querySelectorAll(".cells, .strip")];
  const to = rows.length > 1 ? rows[rows.indexOf(here) + by] : null;
  const all = to ? buttons(to) : [];
  return all[Math.min(place, all.length - 1)];
}

lightbox.keys = {
  ArrowLeft: () => along(-1), ArrowRight: () => along(1), ArrowUp: () => across(-1), ArrowDown: () => across(1),
};
lightbox.said = (button) => {
  const values = button.closest("figure").querySelectorAll(".value"), { alt } = button.querySelector("img");
  return alt + (values.length ? ": " + [...values].map((one) => one.textContent).join(", ") : "");
};

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
