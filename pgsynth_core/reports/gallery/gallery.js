// Chooses and orders tiles, says what is known of an enlarged one. What is chosen stands behind the page's address.

const form = document.getElementById("choose"), theme = document.getElementById("theme");
const place = document.querySelector(".tiles"), tiles = [...place.children];
const settings = JSON.parse(document.getElementById("settings").textContent);
const fields = [...form.querySelectorAll("select, input")];
const asMade = Object.fromEntries(fields.map((field) => [field.name, field.value]));
const counting = new Intl.Collator(undefined, { numeric: true });
tiles.forEach((tile, number) => { tile.number = number; });

const facts = fields.filter((field) => field.tagName === "SELECT" && field.name !== "order");
const known = (tile, key) => tile.getAttribute(`data-${key.replace("_", "-")}`); // null if it is not; a line for each value
const together = (values) => values.replaceAll("\n", " + ");
for (const tile of tiles) { // what of it is looked for: its name and what is known, not what the page itself counts by
  const { time, settings, size, ...own } = tile.dataset;
  tile.words = [tile.querySelector("a").title, ...Object.values(own)].join(" ").toLowerCase();
}

// ---------------------------------------------------------------- choosing
function fits(tile, words) {
  for (const { name, value } of facts) {
    const own = known(tile, name);
    if (value === "-" ? own !== null : value && !own?.split("\n").includes(value.slice(1))) return false;
  }
  return words.every((word) => tile.words.includes(word));
}

function ordered(order) {
  const by = {
    name: () => 0,
    newest: (one, other) => other.dataset.time - one.dataset.time,
    oldest: (one, other) => one.dataset.time - other.dataset.time,
  }[order] || ((one, other) => {
    const [first, second] = [known(one, order), known(other, order)];
    if (first === null || second === null) return (first === null) - (second === null); // what is not known comes last
    return counting.compare(first, second);
  });
  return [...tiles].sort((one, other) => by(one, other) || one.number - other.number);
}

let order = "name";
function choose() {
  const words = form.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const tile of tiles) {
    tile.hidden = !fits(tile, words);
    count += !tile.hidden;
  }
  if (form.order.value !== order) place.append(...ordered(form.order.value));
  order = form.order.value;
  document.documentElement.style.setProperty("--tile", `${form.tile.value}px`);
  form.querySelector("output").textContent = count === tiles.length ? `${count}` : `${count} of ${tiles.length}`;
  document.getElementById("none").hidden = count > 0;
}

// ---------------------------------------------------------------- what is chosen, in the address
function keep() {
  const other = fields.filter((field) => field.value !== asMade[field.name]).map((field) => [field.name, field.value]);
  if (document.documentElement.dataset.theme) other.push(["theme", document.documentElement.dataset.theme]);
  history.replaceState(null, "", `#${new URLSearchParams(other)}`);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const field of fields) {
    field.value = kept.get(field.name) ?? asMade[field.name];
    if (field.selectedIndex === -1) field.value = asMade[field.name]; // another page's
  }
  if (["light", "dark"].includes(kept.get("theme"))) document.documentElement.dataset.theme = kept.get("theme");
  dressed();
  choose();
}

form.addEventListener("input", () => { choose(); keep(); });
form.addEventListener("reset", (event) => {
  event.preventDefault();
  for (const field of fields) field.value = asMade[field.name];
  choose();
  keep();
});
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", recall);

// ---------------------------------------------------------------- light and dark
const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const dressed = () => { theme.textContent = dark() ? "light" : "dark"; };
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  dressed();
  keep();
});

// ---------------------------------------------------------------- keys
const visible = () => [...place.children].filter((tile) => !tile.hidden).map((tile) => tile.querySelector(".zoom"));

function step(by) {
  const all = visible();
  return all[all.indexOf(lightbox.at) + by];
}

function beside(from, down) { // the nearest in the next row
  const all = visible(), middle = (button) => { const at = button.getBoundingClientRect(); return at.x + at.width / 2; };
  const top = (button) => button.closest(".tile").offsetTop;
  const rows = all.map(top).filter((at) => (down ? at > top(from) : at < top(from)));
  const row = down ? Math.min(...rows) : Math.max(...rows);
  const there = all.filter((button) => top(button) === row);
  return there.sort((one, other) => Math.abs(middle(one) - middle(from)) - Math.abs(middle(other) - middle(from)))[0];
}

document.addEventListener("keydown", (event) => {
  if (box.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const from = event.target.closest?.(".zoom");
  if (event.key === "/" && !event.target.closest?.("input, select")) {
    event.preventDefault();
    form.words.focus();
  } else if (event.key === "Escape" && event.target === form.words) {
    visible()[0]?.focus();
  } else if (from && event.key.startsWith("Arrow")) {
    event.preventDefault();
    const all = visible(), at = all.indexOf(from);
    const to = { ArrowLeft: () => all[at - 1], ArrowRight: () => all[at + 1], ArrowUp: () => beside(from, false), ArrowDown: () => beside(from, true) };
    to[event.key]()?.focus();
  }
});

// ---------------------------------------------------------------- enlarged
const large = box.querySelector("img"), frame = box.querySelector("figure");
const CLOSER = 3;

function sized() {
  const [width, height] = lightbox.at.closest(".tile").dataset.size.split("x").map(Number);
  const room = innerWidth > 760 ? [0.7 * innerWidth, 0.86 * innerHeight] : [0.92 * innerWidth, 0.7 * innerHeight];
  const much = frame.classList.contains("closer") ? CLOSER : 1;
  fit(width, height, room.map((side) => side * much));
}

function said(tile) {
  const about = settings[tile.dataset.settings] || {}, told = { ...tile.dataset };
  for (const key of ["time", "kind", "settings"]) delete told[key];
  for (const key in told) told[key] = together(told[key]);
  const sample = typeof about.sample === "object" && about.sample || {}; // a file may say anything
  for (const key of ["scheduler", "steps", "guidance"]) if (key in sample) told[key] = sample[key];
  if (about.pgsynth) told.pgsynth = about.pgsynth;
  told.written = new Date(1000 * tile.dataset.time).toLocaleString();
  const rows = Object.entries(told).map(([key, value]) => {
    const [term, says] = ["dt", "dd"].map((name) => document.createElement(name));
    term.textContent = key.replace(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`);
    says.textContent = typeof value === "object" ? JSON.stringify(value) : value;
    return [term, says];
  });
  box.querySelector("dl").replaceChildren(...rows.flat());
  const folded = box.querySelector("details");
  folded.hidden = !tile.dataset.settings;
  folded.querySelector("pre").textContent = folded.hidden ? "" : JSON.stringify(about, null, 2);
}

function closer() {
  frame.classList.toggle("closer");
  sized();
  if (frame.classList.contains("closer")) frame.scrollTo((frame.scrollWidth - frame.clientWidth) / 2, (frame.scrollHeight - frame.clientHeight) / 4);
}

lightbox.keys = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), z: closer, Z: closer };
lightbox.shown = (button) => {
  const tile = button.closest(".tile"), link = tile.querySelector("a");
  frame.classList.remove("closer");
  said(tile);
  box.querySelector("#file").href = link.href;
  large.src = link.href; // the file itself; if it is not there, the small copy
  sized();
};
large.addEventListener("error", () => {
  const copy = lightbox.at.querySelector("img").src;
  if (large.src !== copy) large.src = copy;
});
large.addEventListener("click", closer);
addEventListener("resize", () => { if (box.open) sized(); });

form.hidden = theme.hidden = false;
recall();
