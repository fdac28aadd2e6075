// The questionnaire in the browser of a rater. It knows candidates by ids that say nothing, and sends nothing anywhere.
"use strict";
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const LETTERS = "ABCDEFGH";
  const at = (id) => document.getElementById(id);
  const questions = new Map(study.questions.map((question) => [question.id, question]));
  const most = Math.max(...study.questions.map((question) => Object.keys(question.candidates).length));
  let state = null; // {rater, answers: {question: {chosen, seconds}}}
  let order = []; // ids of questions as this rater sees them
  let here = 0;
  let since = 0; // when the question came into view

  // ---------------------------------------------------------------- orders: the same for the same study and rater
  function mixed(text) { // FNV-1a over UTF-8, then the last rounds of MurmurHash3: 32 bits
    let hash = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }
  function shuffled(ids, salt) {
    const keyed = ids.map((id) => [mixed(`${salt}/${id}`), id]);
    return keyed.sort((one, other) => one[0] - other[0] || (one[1] < other[1] ? -1 : 1)).map((pair) => pair[1]);
  }
  const salt = () => `${study.study}/${state.rater}`;
  const shown = (id) => shuffled(Object.keys(questions.get(id).candidates), `${salt()}/${id}`);

  // ---------------------------------------------------------------- what is kept against a closed tab
  const place = (rater) => `pgsynth-study/${study.study}/${rater}`;
  const LAST = `pgsynth-study/${study.study}`;
  function kept(name) {
    try { return localStorage.getItem(name); } catch { return null; }
  }
  function keep() {
    try {
      localStorage.setItem(place(state.rater), JSON.stringify(state));
      localStorage.setItem(LAST, state.rater);
    } catch { /* private windows keep nothing: the page goes on without */ }
  }
  function earlier(rater) {
    const answers = {};
    try {
      for (const [id, answer] of Object.entries(JSON.parse(kept(place(rater))).answers)) {
        const known = questions.get(id);
        if (known && (answer.chosen === null || answer.chosen in known.candidates))
          answers[id] = { chosen: answer.chosen, seconds: Number(answer.seconds) || 0 };
      }
    } catch { /* nothing kept */ }
    return answers;
  }
  const tidy = (name) => name.normalize("NFC").replace(/\s+/g, " ").trim();
  const done = () => order.filter((id) => id in state.answers).length;

  // ---------------------------------------------------------------- pages
  function turn(page) {
    for (const id of ["intro", "asking", "end"]) at(id).hidden = id !== page;
    document.activeElement?.blur(); // or a key would still go to what is hidden now
    window.scrollTo(0, 0);
  }
  function begin(rater) {
    state = { rater, answers: earlier(rater) };
    order = shuffled([...questions.keys()], salt());
    keep();
    const first = order.findIndex((id) => !(id in state.answers));
    if (first < 0) finish(); else ask(first);
  }
  function show(figure, uri) {
    figure.hidden = !uri;
    if (uri) figure.querySelector("img").src = uri;
  }
  function ask(number) {
    here = number;
    since = performance.now();
    const question = questions.get(order[here]);
    for (const what of ["source", "pose", "truth"]) show(at(what), question[what]);
    at("candidates").replaceChildren(...shown(question.id).map((id, index) => candidate(question, id, index)));
    at("where").textContent = `Question ${here + 1} of ${order.length}`;
    at("back").disabled = here === 0;
    mark();
    turn("asking");
    const next = questions.get(order[here + 1]); // decoded while this one is looked at
    for (const uri of next ? [next.source, next.pose, next.truth, ...Object.values(next.candidates)] : [])
      if (uri) new Image().src = uri;
  }
  function candidate(question, id, index) {
    const figure = document.createElement("figure");
    figure.className = "candidate";
    figure.dataset.id = id;
    const pick = document.createElement("button");
    pick.type = "button";
    pick.className = "pick";
    pick.setAttribute("aria-label", `Choose ${LETTERS[index]}`);
    const picture = document.createElement("img");
    picture.alt = `Candidate ${LETTERS[index]}`;
    picture.src = question.candidates[id];
    pick.append(picture);
    pick.addEventListener("click", () => choose(id));
    const caption = document.createElement("figcaption");
    const letter = document.createElement("b");
    letter.textContent = LETTERS[index];
    const enlarge = document.createElement("button");
    enlarge.type = "button";
    enlarge.className = "enlarge";
    enlarge.textContent = "Enlarge";
    enlarge.addEventListener("click", () => large(LETTERS[index], question.candidates[id], question.truth));
    caption.append(letter, enlarge);
    figure.append(pick, caption);
    return figure;
  }
  function mark() {
    const answer = state.answers[order[here]];
    for (const figure of at("candidates").children) {
      const chosen = Boolean(answer) && answer.chosen === figure.dataset.id;
      figure.classList.toggle("chosen", chosen);
      figure.firstChild.setAttribute("aria-pressed", String(chosen));
    }
    at("tie").setAttribute("aria-pressed", String(Boolean(answer) && answer.chosen === null));
    at("progress").value = done() / order.length;
    at("answered").textContent = `${done()} answered`;
    at("next").textContent = here + 1 === order.length ? "Finish →" : answer ? "Next →" : "Skip →";
    at("next").classList.toggle("main", Boolean(answer));
    at("hint").textContent = "";
  }
  function looked() { // adds the time since the question came into view
    const answer = state.answers[order[here]];
    const seconds = (performance.now() - since) / 1000;
    since = performance.now();
    if (answer) answer.seconds = Math.round((answer.seconds + seconds) * 10) / 10;
  }
  function choose(id) {
    const before = state.answers[order[here]];
    state.answers[order[here]] = { chosen: id, seconds: before ? before.seconds : 0 };
    looked();
    keep();
    mark();
  }
  function go(step) {
    if (here + step < 0) return;
    looked();
    keep();
    if (here + step < order.length) ask(here + step); else finish();
  }
  function large(letter, picture, truth) {
    const [one, other] = at("large").querySelectorAll("figure");
    one.querySelector("img").src = picture;
    one.querySelector("figcaption").textContent = letter;
    other.querySelector("img").src = truth;
    at("large").showModal();
  }

  // ---------------------------------------------------------------- the end
  function report() {
    const answers = order.filter((id) => id in state.answers).map((id) => {
      const { chosen, seconds } = state.answers[id];
      return { question: id, chosen, shown: shown(id), seconds };
    });
    return JSON.stringify({ pgsynth_study_answers: 1, study: study.study, rater: state.rater, answers }, null, 1);
  }
  let link = "";
  function finish() {
    const open = order.length - done();
    at("thanks").textContent = open ? "Nearly done" : "Thank you";
    at("open").hidden = !open;
    at("missing").textContent = open === 1 ? "One question is not answered." : `${open} questions are not answered.`;
    at("text").value = report();
    URL.revokeObjectURL(link);
    link = URL.createObjectURL(new Blob([at("text").value], { type: "application/json" }));
    at("save").href = link;
    at("save").download = `answers-${state.rater.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "rater"}.json`;
    at("copied").textContent = "";
    turn("end");
    (open ? at("unanswered") : at("save")).focus();
  }
  async function copy() {
    try {
      await navigator.clipboard.writeText(at("text").value);
    } catch {
      at("text").select();
      if (!document.execCommand("copy")) {
        at("copied").textContent = "Not allowed here: the text is selected, copy it by hand.";
        return;
      }
    }
    at("copied").textContent = "Copied.";
  }

  // ---------------------------------------------------------------- keys and buttons
  function press(event) {
    if (at("asking").hidden || at("large").open || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const figures = [...at("candidates").children];
    const letter = event.key.length === 1 ? LETTERS.indexOf(event.key.toUpperCase()) : -1;
    const index = /^[1-8]$/.test(event.key) ? Number(event.key) - 1 : letter;
    if (index >= 0 && index < figures.length) choose(figures[index].dataset.id);
    else if (event.key === "0" && study.cannot_tell) choose(null);
    else if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === "Enter" && !event.target.closest?.("button:not(.pick):not(#tie)")) {
      if (order[here] in state.answers) go(1);
      else at("hint").textContent = "Choose one first.";
    } else return;
    event.preventDefault();
  }
  document.addEventListener("keydown", press);
  document.addEventListener("visibilitychange", () => { // time away is no time of looking
    if (state && !at("asking").hidden) {
      if (document.hidden) { looked(); keep(); } else since = performance.now();
    }
  });
  at("begin").addEventListener("submit", (event) => {
    event.preventDefault();
    const rater = tidy(at("rater").value);
    if (rater) begin(rater);
  });
  at("tie").addEventListener("click", () => choose(null));
  at("back").addEventListener("click", () => go(-1));
  at("next").addEventListener("click", () => go(1));
  at("unanswered").addEventListener("click", () => ask(order.findIndex((id) => !(id in state.answers))));
  at("look").addEventListener("click", () => ask(0));
  at("copy").addEventListener("click", copy);
  at("close").addEventListener("click", () => at("large").close());
  at("large").addEventListener("click", (event) => { if (event.target.tagName !== "BUTTON") at("large").close(); });

  at("many").textContent = String(study.questions.length);
  at("last").textContent = String(most);
  at("forced").hidden = study.cannot_tell;
  at("free").hidden = at("tie").hidden = !study.cannot_tell;
  const last = kept(LAST);
  if (last) {
    at("rater").value = last;
    at("resume").hidden = false;
    at("resume").textContent = `Answers of ${last} are kept in this browser: under that name, you go on where you were.`;
  }
  turn("intro");
  at("rater").focus();
})();
