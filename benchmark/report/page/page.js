"use strict";
/* The page: one state, which the address holds; whatever changes it draws again what depends on it. No request is made. */

const D = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const PAGE = 24; // queries at once
const OUTCOMES = {
  any: "any outcome",
  flipped: "flips the classifier",
  both: "convinces both",
  one: "convinces only the classifier",
  neither: "does not flip",
  oracle: "convinces the oracle",
  fails: "does not convince both",
};
// How much a query counts in the table, where each of several oracles has a vote.
const WEIGHTS = {
  oracle: (found) => found.votes,
  both: (found) => (found.outcome === "neither" ? 0 : found.votes),
  one: (found) => (found.outcome === "neither" ? 0 : 1 - found.votes),
};
const BEHIND = { flip_rate: "flipped", oracle_aware_flips: "both", adversarial_flips: "one", oracle_agreement: "oracle" };
const ORDERS = { asked: "as asked", l1: "least changed first", sure: "classifier surest first", apart: "methods disagree most first" };
const VIEWS = { answer: "answers", difference: "difference to the query", blink: "blink with the query" };
const PLAIN = {
  flip_rate: "flips the classifier", oracle_aware_flips: "convinces both", l1: "how much changes",
  fid_oracle: "unlike real pictures", mse: "error of its copies", seconds_per_counterfactual: "for one query",
}; // below the headings that are shown first; what is copied has the headings alone
const DEFAULTS = {
  task: 0, seed: "", r: 0, sort: "oracle_aware_flips", down: true, columns: "", hidden: "",
  own: "", target: "", outcome: "any", method: "", order: "asked", view: "answer", page: 0, query: "",
};
const S = { ...DEFAULTS };

/* -- elements: text is always text ------------------------------------------------------------------------------- */

function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function coloured(element, method) {
  element.style.setProperty("--light", D.methods[method].light);
  element.style.setProperty("--dark", D.methods[method].dark);
  element.classList.add("coloured");
  return element;
}

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

const count = (number) => number.toLocaleString("en");

/* -- what the state points to ------------------------------------------------------------------------------------ */

const task = () => D.tasks[S.task];
const choice = () => S.seed || task().choices[0] || "";
const rows = () => task().cells[choice()] || {};
const isReference = (method) => D.methods[method].reference;
const hidden = () => new Set(S.hidden ? S.hidden.split(",") : []);
const names = () => Object.keys(D.methods).filter((name) => name in rows());
const visible = () => names().filter((name) => !hidden().has(String(number(name))));
const number = (method) => Object.keys(D.methods).indexOf(method);
const chosen = () => (S.method && answered(S.method) ? S.method : "");

function cell(method, column, place = S.r) {
  const cells = rows()[method]?.[column.name];
  return cells ? cells[column.per_relaxation ? place : 0] : null;
}

const columnsThere = () => D.columns.filter((column) => names().some((method) => rows()[method]?.[column.name]));

function shownColumns() {
  const wanted = new Set(S.columns.split(","));
  return columnsThere().filter((column) => (S.columns ? wanted.has(column.name) : column.first));
}

/* -- the queries of a seed --------------------------------------------------------------------------------------- */

const decoded = new Map();

function numbers(text, wide = false) {
  if (!decoded.has(text)) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    decoded.set(text, wide ? new Uint16Array(bytes.buffer) : bytes);
  }
  return decoded.get(text);
}

function seedOfPictures() {
  const sets = task().sets;
  return choice() in sets ? choice() : choice() === "mean" ? Object.keys(sets)[0] || "" : "";
}

const set = () => task().sets[seedOfPictures()] || null;
const answered = (method) => (set() || { methods: {} }).methods[method] || null;
const own = (query) => numbers(set().own)[query];
const target = (query) => numbers(set().targets)[query];

/* What a method's answer is: null where it was not asked at this r. */
function answer(method, query, place = S.r) {
  const of = answered(method);
  const column = of ? of.places.indexOf(place) : -1;
  if (column < 0) return null;
  const at = column * set().n + query;
  const seen = numbers(of.seen)[at], oracle = numbers(of.oracle)[at], wanted = target(query);
  const outcome = seen !== wanted ? "neither" : oracle === wanted ? "both" : "one";
  return {
    column, seen, oracle, outcome, sure: numbers(of.sure)[at], oracleSure: numbers(of.oracleSure)[at],
    l1: numbers(of.l1, true)[at] / 10000, agreed: oracle === wanted,
    votes: numbers(of.votes)[at] / 240,
  };
}

function has(found, outcome) {
  if (outcome === "any") return true;
  if (!found) return false;
  if (outcome === "flipped") return found.outcome !== "neither";
  if (outcome === "fails") return found.outcome !== "both";
  return outcome === "oracle" ? found.agreed : found.outcome === outcome;
}

const galleryMethods = () => {
  const shown = visible().filter((method) => answered(method) && method !== chosen());
  return chosen() ? [chosen(), ...shown] : shown;
};

const fits = (value, wanted) => wanted === "" || value === Number(wanted);
const ofClasses = () => [...Array(set().n).keys()].filter((query) => fits(own(query), S.own) && fits(target(query), S.target));

/* The queries that fit the filters, in the order that is asked for. */
function fitting(place = S.r) {
  if (!set()) return [];
  const asked = chosen() ? [chosen()] : galleryMethods();
  const found = ofClasses().filter((query) => S.outcome === "any" || asked.some((method) => has(answer(method, query, place), S.outcome)));
  if (S.order === "asked") return found;
  const key = new Map(found.map((query) => [query, orderKey(query, asked)]));
  return found.sort((one, other) => key.get(one) - key.get(other) || one - other);
}

function orderKey(query, asked) {
  if (S.order === "apart") {
    const methods = galleryMethods().filter((method) => !isReference(method));
    const convinced = methods.filter((method) => has(answer(method, query), "both")).length;
    return -convinced * (methods.length - convinced);
  }
  const found = asked.map((method) => answer(method, query)).filter(Boolean);
  if (!found.length) return Infinity;
  const sum = found.reduce((total, one) => total + (S.order === "l1" ? one.l1 : -one.sure), 0);
  return sum / found.length;
}

/* -- pictures ---------------------------------------------------------------------------------------------------- */

const sheets = new Map();
let blinking = 0, blinked = false;

function sheet(address) {
  if (!sheets.has(address)) {
    const image = new Image();
    image.addEventListener("load", () => { image.ready = true; drawPictures(); });
    image.src = address;
    sheets.set(address, image);
  }
  return sheets.get(address);
}

/* A canvas that remembers what it shows: [address of a sheet, column, row]. */
function picture(address, column, row, label) {
  const [high, wide] = set().side;
  const canvas = el("canvas", { width: wide, height: high, role: "img", "aria-label": label });
  canvas.shows = [address, column, row];
  draw(canvas);
  return canvas;
}

function draw(canvas) {
  const [address, column, row] = canvas.shows;
  const image = sheet(address), { width, height } = canvas;
  if (!image.ready) return;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const isAnswer = address !== set().sheet && !canvas.plain;
  const query = sheet(set().sheet);
  if (isAnswer && S.view === "blink" && blinked && query.ready) {
    pen.drawImage(query, 0, row * height, width, height, 0, 0, width, height);
    return;
  }
  pen.drawImage(image, column * width, row * height, width, height, 0, 0, width, height);
  if (isAnswer && S.view === "difference" && query.ready) subtract(pen, query, row, width, height);
}

/* Signed: red where the answer is brighter, blue where it is darker, white where nothing changed. */
function subtract(pen, query, row, width, height) {
  const answered = pen.getImageData(0, 0, width, height);
  pen.drawImage(query, 0, row * height, width, height, 0, 0, width, height);
  const before = pen.getImageData(0, 0, width, height).data, after = answered.data;
  for (let place = 0; place < after.length; place += 4) {
    const grey = (of) => (of[place] + of[place + 1] + of[place + 2]) / 3;
    const change = Math.max(-255, Math.min(255, 2 * (grey(after) - grey(before))));
    after[place] = change < 0 ? 255 + change : 255;
    after[place + 1] = 255 - Math.abs(change);
    after[place + 2] = change > 0 ? 255 - change : 255;
  }
  pen.putImageData(answered, 0, 0);
}

function drawPictures() {
  for (const canvas of document.querySelectorAll("canvas")) draw(canvas);
}

function blink() {
  clearInterval(blinking);
  blinked = false;
  if (S.view === "blink") blinking = setInterval(() => { blinked = !blinked; drawPictures(); }, 700);
}

/* -- the sentence and the table ---------------------------------------------------------------------------------- */

function drawSaid() {
  const said = (task().said[choice()] || [])[S.r] || [`No job of ${task().name} has succeeded.`];
  $("said").replaceChildren(...said.map((text, place) => el("p", place ? {} : { class: "first" }, text)), ...looks());
}

/* From the sentence to the pictures: what the method answers that convinces most, and where it does not convince. */
function looks() {
  const best = (task().best[choice()] || [])[S.r];
  if (!best || !answered(best)) return [];
  const look = (outcome, text) => el("button", { "data-look": outcome, onclick: () => showQueries(best, outcome) }, text);
  const rate = cell(best, { name: "oracle_aware_flips", per_relaxation: true })[0];
  if (!rate) return [];
  return [el("p", { class: "tools" }, look("both", `see answers of ${best} that convince`),
    rate < 1 ? look("fails", `see where ${best} fails`) : null)];
}

/* What is shown, and what is copied: headings, and a line a method; references come last. */
function grid() {
  const columns = shownColumns(), line = (method) => ({
    method, reference: isReference(method), n: queriesOf(method),
    cells: columns.map((column) => ({ column, cell: cell(method, column) })),
  });
  const lines = names().map(line), by = columns.find((column) => column.name === S.sort);
  if (by || S.sort === "method") lines.sort((one, other) => compare(one, other, by));
  return { columns, lines: [...lines.filter((one) => !one.reference), ...lines.filter((one) => one.reference)] };
}

function queriesOf(method) {
  const found = cell(method, { name: "flip_rate", per_relaxation: true });
  return found ? found[3] : null;
}

function compare(one, other, by) {
  const sign = S.down ? -1 : 1;
  if (!by) return sign * one.method.localeCompare(other.method);
  const [first, second] = [one, other].map((line) => cell(line.method, by));
  if (!first || !second) return first ? -1 : second ? 1 : 0;
  return sign * (first[0] - second[0]);
}

function sortBy(name, better) {
  if (S.sort === name) S.down = !S.down;
  else Object.assign(S, { sort: name, down: better === "higher" });
  changed(["table"]);
}

let order = ""; // the columns and lines of the table that is there

/* At another r the same lines get other numbers; only where their order changes is the table made anew. */
function updateTable() {
  const { columns, lines } = grid();
  if (keyOf(columns, lines) !== order) { drawTable(); return; }
  const kept = [...$("body").querySelectorAll("tr:not(.apart):not(.failed)")];
  for (const [place, line] of lines.entries()) {
    for (const [at, { column, cell: found }] of line.cells.entries()) {
      if (!column.per_relaxation) continue;
      const there = kept[place].children[at + 1];
      if (there.textContent !== (found ? found[4] : "–") || told(line.method, column)) there.replaceChildren(numberOf(line.method, column, found));
    }
  }
  retell();
}

const keyOf = (columns, lines) => JSON.stringify([S.task, choice(), S.sort, S.down, columns.map((one) => one.name), lines.map((one) => one.method)]);

/* The heading of a column, marked where it rests on an oracle that is not to be relied on. */
const titleOf = (column) => (task().doubted.includes(column.name) ? `${column.title} ${D.doubt}` : column.title);

function drawTable() {
  $("about").textContent = `(${task().about[choice()] || ""})`;
  $("doubted").hidden = !task().doubted.length;
  const { columns, lines } = grid();
  order = keyOf(columns, lines);
  const head = (name, title, better, meaning) =>
    el("th", { scope: "col", "aria-sort": S.sort !== name ? "none" : S.down ? "descending" : "ascending", title: meaning, "data-plain": PLAIN[name] || "" },
      el("button", { "data-sort": name, onclick: () => sortBy(name, better), ...onLook(() => { spoken = null; say(`${title}: ${meaning}`); }) },
        title, S.sort === name ? (S.down ? " ▾" : " ▴") : ""));
  const focused = document.activeElement?.dataset.sort;
  $("head").replaceChildren(el("tr", {},
    head("method", "method", "lower", "name"),
    ...columns.map((column) => head(column.name, titleOf(column), column.better, column.meaning)),
    el("th", { scope: "col", title: "queries, of each seed" }, "n")));
  if (focused) { const button = document.querySelector(`[data-sort="${CSS.escape(focused)}"]`); if (button) button.focus(); }
  const first = lines.findIndex((line) => line.reference);
  $("body").replaceChildren(...lines.flatMap((line, place) => [
    place === first ? el("tr", { class: "apart" }, el("td", { colSpan: columns.length + 2 },
      "References: no explanations, but they give the scale")) : null,
    tableRow(line),
  ]).filter(Boolean), ...task().failed.map((job) => failedRow(job, columns.length)));
  retell();
}

function numberOf(method, column, found) {
  if (!found) return "–";
  const words = told(method, column);
  return el("button", {
    class: words.startsWith("best here, and better") ? "number best" : "number",
    "data-column": column.name, "data-method": method, title: words || column.meaning,
    ...onLook(() => tell(method, column)), onclick: () => openBehind(method, column),
  }, ...parts(found[4]));
}

function tableRow(line) {
  return el("tr", { class: line.reference ? "reference" : "" },
    el("th", { scope: "row" }, dot(line.method), line.method),
    ...line.cells.map(({ column, cell: found }) => el("td", {}, numberOf(line.method, column, found))),
    el("td", {}, line.n === null ? "–" : el("button", { class: "number", "data-column": "n", "data-method": line.method,
      onclick: () => openBehind(line.method, { name: "n" }) }, count(line.n))));
}

/* The value, and its interval in smaller letters. */
function parts(text) {
  const at = text.indexOf(" [");
  return at < 0 ? [text] : [text.slice(0, at), el("small", {}, text.slice(at))];
}

function failedRow(job, width) {
  return el("tr", { class: "failed" }, el("th", { scope: "row" }, job.method),
    el("td", { colSpan: width + 1 }, `${job.told} (seed ${job.seed}): ${job.reason}`));
}

function told(method, column) {
  const words = task().words[column.name];
  return words?.[column.per_relaxation ? S.r : 0]?.[method] || "";
}

let spoken = null; // the method and column whose number is told at the lower edge of the window

/* By mouse, keyboard and finger alike: a finger's tap is a mouse that enters. */
const onLook = (then) => ({ onfocus: then, onmouseenter: then });

function tell(method, column) {
  spoken = [method, column];
  say(`${method}, ${column.heading}: ${told(method, column) || column.meaning}`);
}

/* Where the reader looks: below the table, and above the pictures behind a number. */
function say(text) {
  $("told").textContent = text;
  $("behind").textContent = spoken && spoken[0] === chosen() ? text : "";
}

/* What is said of the table's numbers, where these have changed. */
function retell() {
  $("marked").textContent = document.querySelector("#body .best")
    ? "Highlighted: better than every other method by more than chance."
    : "Nothing is highlighted: to say that a method is better than every other takes three seeds and a clear lead.";
  if (spoken && cell(...spoken)) tell(...spoken);
}

function openBehind(method, column) {
  showQueries(method, BEHIND[column.name] || "any");
  if (column.meaning) tell(method, column);
}

function showQueries(method, outcome) {
  Object.assign(S, { method, outcome, own: "", target: "", page: 0, query: "" });
  $("behind").textContent = "";
  changed(["filters", "gallery", "one"]);
  $("gallery").scrollIntoView();
  $("gallery-count").focus({ preventScroll: true });
}

function drawColumns() {
  const shown = new Set(shownColumns().map((column) => column.name)), there = columnsThere();
  $("columns").replaceChildren(...there.map((column) => el("label", { title: column.meaning },
    el("input", { type: "checkbox", checked: shown.has(column.name), onchange: (event) => {
      if (event.target.checked) shown.add(column.name); else shown.delete(column.name);
      S.columns = there.filter((one) => shown.has(one.name)).map((one) => one.name).join(",") || "none";
      changed(["table"]);
    } }), ` ${column.title}`)));
}

/* -- copying ----------------------------------------------------------------------------------------------------- */

function cells() {
  const { columns, lines } = grid();
  const head = ["method", ...columns.map(titleOf), "n"];
  const line = (one) => [one.method, ...one.cells.map(({ cell: found }) => (found ? found[4] : "")), one.n === null ? "" : String(one.n)];
  return { head, lines: lines.map((one) => ({ reference: one.reference, texts: line(one) })) };
}

function markdown() {
  const { head, lines } = cells(), line = (texts) => `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map((_, place) => (place ? "---:" : "---"))),
    ...lines.map((one) => line(one.reference ? [`*${one.texts[0]}*`, ...one.texts.slice(1)] : one.texts))].join("\n") + "\n";
}

const TEX = { "\\": "\\textbackslash{}", "%": "\\%", "&": "\\&", _: "\\_", "#": "\\#", $: "\\$", "{": "\\{", "}": "\\}",
  "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "φ": "$\\phi$" };

function latex() {
  const { head, lines } = cells();
  const letters = (text) => text.replace(/[\\%&_#${}~^±↑↓φ]/g, (letter) => TEX[letter]);
  const tex = (text) => text.split("x\u0303").map(letters).join("$\\tilde{x}$");
  const line = (texts) => `${texts.map(tex).join(" & ")} \\\\`;
  const references = lines.filter((one) => one.reference).map((one) => line(one.texts));
  return [`\\begin{tabular}{l${"r".repeat(head.length - 1)}}`, "\\toprule", line(head), "\\midrule",
    ...lines.filter((one) => !one.reference).map((one) => line(one.texts)),
    ...(references.length ? ["\\midrule", ...references] : []), "\\bottomrule", "\\end{tabular}"].join("\n") + "\n";
}

function csv() {
  const { head, lines } = cells(), quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [[...head, "reference"], ...lines.map((one) => [...one.texts, String(one.reference)])]
    .map((texts) => texts.map(quote).join(",")).join("\n") + "\n";
}

async function copy(text, where) {
  try {
    await navigator.clipboard.writeText(text);
    where.textContent = "copied";
  } catch {
    const area = el("textarea", { class: "copied", "aria-label": "text to copy" });
    area.value = text;
    where.replaceChildren("select and copy: ", area);
    area.select();
  }
}

function save(name, kind, text) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: kind })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/* -- the curve --------------------------------------------------------------------------------------------------- */

const LEFT = 44, RIGHT = 12, TOP = 10, BOTTOM = 40, HIGH = 400;

function drawLegend() {
  $("legend").replaceChildren(...names().map((method) => el("button", {
    class: "key", "aria-pressed": String(!hidden().has(String(number(method)))), "data-method": method,
    onclick: (event) => { if (event.detail < 2) hide(method); }, ondblclick: () => isolate(method),
    ...onLook(() => dim(method)), onblur: () => dim(""), onmouseleave: () => dim(""),
  }, dot(method), isReference(method) ? `${method} (reference)` : method)));
}

/* Looking at a name makes the other lines faint. */
function dim(method) {
  for (const lines of $("chart").querySelectorAll("g")) lines.classList.toggle("dim", method !== "" && lines.dataset.method !== method);
}

function hide(method) {
  const found = hidden(), key = String(number(method));
  if (!found.delete(key)) found.add(key);
  S.hidden = [...found].join(",");
  for (const button of $("legend").children) button.setAttribute("aria-pressed", String(!found.has(String(number(button.dataset.method)))));
  changed(["curve", "gallery", "one"]);
}

/* The first click of a double click has hidden it: it alone is shown, or, if it was alone, all are. */
function isolate(method) {
  const key = String(number(method)), others = names().map((name) => String(number(name))).filter((other) => other !== key);
  const alone = others.every((other) => hidden().has(other));
  S.hidden = alone ? "" : others.join(",");
  changed(["legend", "curve", "gallery", "one"]);
}

function drawCurve() {
  const wide = Math.min(1100, Math.max(300, $("chart").clientWidth || 640)), rs = task().relaxations;
  const x = (r) => LEFT + (wide - LEFT - RIGHT) * r, y = (rate) => TOP + (HIGH - TOP - BOTTOM) * (1 - rate);
  const drawn = svg("svg", { viewBox: `0 0 ${wide} ${HIGH}`, width: wide, height: HIGH, role: "img", class: "chart",
    "aria-label": `Flip rate against r on ${task().name}; the same numbers stand in the table above` });
  for (const rate of [0, 0.25, 0.5, 0.75, 1]) {
    drawn.append(svg("line", { x1: LEFT, x2: wide - RIGHT, y1: y(rate), y2: y(rate), class: "grid", stroke: "#999" }),
      svg("text", { x: LEFT - 6, y: y(rate) + 4, "text-anchor": "end" }, `${100 * rate} %`));
  }
  for (const r of rs) drawn.append(svg("text", { x: x(r), y: HIGH - BOTTOM + 18, "text-anchor": "middle" }, String(r)));
  drawn.append(svg("text", { x: (LEFT + wide - RIGHT) / 2, y: HIGH - 6, "text-anchor": "middle" }, "r (0: the method acts fully; 1: it keeps the query)"));
  if (rs.length) drawn.append(svg("line", { y1: TOP, y2: HIGH - BOTTOM, class: "here", stroke: "#333", "stroke-dasharray": "2 3" }));
  for (const method of visible()) drawn.append(linesOf(method, x, y));
  $("chart").replaceChildren(drawn);
  markHere();
}

/* The line at the r that is chosen. */
function markHere() {
  const line = $("chart").querySelector(".here"), wide = $("chart").firstChild.viewBox.baseVal.width;
  if (line) for (const end of ["x1", "x2"]) line.setAttribute(end, LEFT + (wide - LEFT - RIGHT) * task().relaxations[S.r]);
}

/* What a method's line carries, at (x, y) if it stands in a chart; hollow on the line that the oracle has a say in. */
function mark(method, place = {}, kind = "mark") {
  return svg("polygon", { points: D.methods[method].mark, class: kind, "vector-effect": "non-scaling-stroke",
    fill: kind === "hollow" ? "#fff" : D.methods[method].light, stroke: D.methods[method].light, ...place });
}

const dot = (method) => coloured(svg("svg", { class: "dot", viewBox: "-1.2 -1.2 2.4 2.4", "aria-hidden": "true" }, mark(method)), method);

/* Both lines of a method. Their attributes are for the saved figure; on the page the style sheet overrules them. */
function linesOf(method, x, y) {
  const column = (name) => D.columns.find((one) => one.name === name), colour = D.methods[method].light;
  const points = (name) => task().relaxations.map((r, place) => [r, cell(method, column(name), place)]).filter(([, found]) => found);
  const path = (list) => list.map(([r, rate]) => `${x(r).toFixed(1)},${y(rate).toFixed(1)}`).join(" ");
  const flips = points("flip_rate"), both = points("oracle_aware_flips");
  const banded = flips.filter(([, found]) => found[1] !== null && found[2] !== null);
  const band = [...banded.map(([r, found]) => [r, found[2]]), ...banded.reverse().map(([r, found]) => [r, found[1]])];
  const line = (list, more) => svg("polyline", { points: path(list.map(([r, found]) => [r, found[0]])), class: "line", stroke: colour, fill: "none", "stroke-width": 2, ...more });
  const marks = (list, kind, size, words) => list.map(([r, found]) => {
    const made = mark(method, { transform: `translate(${x(r)} ${y(found[0])}) scale(${size})` }, kind);
    made.append(svg("title", {}, `${method}, r = ${r}: ${words} ${found[4]} %`));
    return made;
  });
  return coloured(svg("g", { "data-method": method }, svg("polygon", { points: path(band), class: "band", fill: colour, opacity: 0.14 }),
    line(both, { "stroke-dasharray": "6 4" }), line(flips), ...marks(both, "hollow", 3.2, "convinces both in"), ...marks(flips, "mark", 4.5, "flips")), method);
}

/* A figure of its own: below it stands what the lines are and whose they are. */
function saveCurve() {
  const copied = $("chart").firstChild.cloneNode(true), methods = visible(), high = HIGH + 18 * methods.length + 30;
  const attributes = { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${copied.getAttribute("width")} ${high}`, height: high, "font-family": "sans-serif", "font-size": 12 };
  for (const [name, value] of Object.entries(attributes)) copied.setAttribute(name, value);
  copied.append(svg("text", { x: LEFT, y: HIGH + 12 }, "solid: flips the classifier, with its 95 % interval; dashed: convinces both classifier and oracle"),
    ...methods.flatMap((method, place) => [mark(method, { transform: `translate(${LEFT + 6} ${HIGH + 30 + 18 * place}) scale(5)` }),
      svg("text", { x: LEFT + 18, y: HIGH + 34 + 18 * place }, method)]));
  save(`flip-rate-${task().name.replaceAll("/", "_")}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(copied));
}

/* -- the gallery ------------------------------------------------------------------------------------------------- */

function drawFilters() {
  const classes = [["", "any"], ...task().classes.map((name, place) => [String(place), name])];
  options($("own"), classes, S.own);
  options($("target"), classes, S.target);
  options($("method"), [["", "any method"], ...names().filter(answered).map((name) => [name, name])], S.method);
  options($("outcome"), Object.entries(OUTCOMES), S.outcome);
  options($("order"), Object.entries(ORDERS), S.order);
  options($("view"), Object.entries(VIEWS), S.view);
}

let updates = []; // what a step of the slider calls: one function a picture
let updatesOfOne = [];

function drawGallery() {
  const found = fitting(), methods = galleryMethods(), pages = Math.max(1, Math.ceil(found.length / PAGE));
  S.page = Math.min(S.page, pages - 1);
  const shown = found.slice(S.page * PAGE, (S.page + 1) * PAGE);
  updates = [];
  $("gallery-count").textContent = counted(found);
  $("page").textContent = `page ${S.page + 1} of ${pages}`;
  if (!chosen()) $("behind").textContent = "";
  $("before").disabled = S.page === 0;
  $("after").disabled = S.page >= pages - 1;
  $("scale").hidden = S.view !== "difference";
  $("pictures").hidden = !set();
  $("pictures-head").parentNode.style.setProperty("--columns", methods.length + 1);
  $("pictures-head").replaceChildren(el("tr", {}, el("th", { scope: "col" }, "query"), ...methods.map((method) =>
    el("th", { scope: "col", class: method === chosen() ? "chosen" : "" }, dot(method),
      el("span", { class: "name" }, method, isReference(method) ? el("small", {}, " (reference)") : null)))));
  $("pictures-body").replaceChildren(...shown.map((query) => galleryRow(query, methods)));
  for (const update of updates) update();
}

function counted(found) {
  if (!set()) return task().choices.length ? "The answers of single queries are not on disk any more; benchmark run makes them again." : "";
  const about = [chosen() || (S.outcome === "any" ? "" : "some method"), S.outcome === "any" ? "" : OUTCOMES[S.outcome]].filter(Boolean).join(" ");
  const classes = `${S.own === "" ? "" : `, seen as ${task().classes[S.own]}`}${S.target === "" ? "" : `, to become ${task().classes[S.target]}`}`;
  const kept = found.filter((query) => query < set().pictures).length;
  const voted = chosen() && S.outcome in WEIGHTS ? `; the table counts each oracle's vote: ${votedShare().toFixed(1)} %` : "";
  return `${count(found.length)} of n = ${count(set().n)} ${set().n === 1 ? "query" : "queries"}${about ? `: ${about} at r = ${task().relaxations[S.r]}` : ""}${classes}; seed ${seedOfPictures()}${voted}${found.length ? "" : elsewhere()}`
    + (kept < found.length ? `; pictures of ${count(kept)} (the page holds the first ${set().pictures})` : "");
}

/* Where nothing fits: the other r at which something does. */
function elsewhere() {
  const rs = task().relaxations.filter((_, place) => place !== S.r && fitting(place).length);
  return rs.length ? `; there are some at r = ${rs.join(", ")}` : "";
}

/* The share of the outcome among the queries of the chosen classes, as the table has it: the mean of the oracles' votes. */
function votedShare() {
  const found = ofClasses().map((query) => answer(chosen(), query)).filter(Boolean);
  return (100 * found.reduce((sum, one) => sum + WEIGHTS[S.outcome](one), 0)) / found.length;
}

function galleryRow(query, methods) {
  const row = el("tr", { "data-query": String(query), class: String(query) === S.query ? "current" : "" },
    el("th", { scope: "row" }, el("button", { class: "query", title: "all methods and all r for this query", onclick: () => openQuery(query) },
      query < set().pictures ? plain(picture(set().sheet, 0, query, `query ${query}`)) : el("span", { class: "blank" }, "no picture"),
      el("span", { class: "caption" }, `${task().classes[own(query)]} → ${task().classes[target(query)]}`))));
  for (const method of methods) {
    const { box, update } = answerBox(method, query);
    updates.push(() => update(S.r));
    row.append(el("td", {}, box));
  }
  return row;
}

const plain = (canvas) => Object.assign(canvas, { plain: true });

/* A picture with what the judges see in it, and a function that shows the answer at another r. */
function answerBox(method, query) {
  const of = answered(method), classes = task().classes, wanted = classes[target(query)];
  const canvas = of.sheet && query < set().pictures ? picture(of.sheet, 0, query, "") : null;
  const classifier = el("span", {}), oracle = el("span", {});
  const box = el("div", { class: "answer" }, canvas || el("span", { class: "blank" }, "no picture"), el("span", { class: "caption" }, classifier, oracle));
  const update = (place) => {
    const found = answer(method, query, place);
    box.className = `answer ${found ? found.outcome : "missing"}`;
    classifier.textContent = !found ? "not asked" : found.seen in classes ? `sees ${classes[found.seen]}, ${found.sure} %` : "no answer";
    oracle.textContent = found && found.oracle in classes ? `oracle ${classes[found.oracle]}, ${found.oracleSure} %` : "";
    if (found) {
      const meant = { both: "both see the target", one: "only the classifier sees the target", neither: "not flipped" }[found.outcome];
      box.title = `${method}, target ${wanted}: ${meant}; ${classifier.textContent}; ${oracle.textContent}; L1 ${found.l1.toFixed(4)}`;
      if (canvas) {
        canvas.shows[1] = found.column;
        canvas.setAttribute("aria-label", found.seen in classes ? `${method}: classifier sees ${classes[found.seen]}, oracle ${classes[found.oracle]}` : `${method}: no answer`);
        draw(canvas);
      }
    } else if (canvas) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  };
  return { box, update };
}

/* -- one query --------------------------------------------------------------------------------------------------- */

function openQuery(query) {
  S.query = String(query);
  changed(["one"]);
  $("one").scrollIntoView();
  $("one-title").focus({ preventScroll: true });
}

function drawOne() {
  for (const row of $("pictures-body").children) row.classList.toggle("current", row.dataset.query === S.query);
  const query = Number(S.query), there = S.query !== "" && set() && query < set().n;
  $("one").hidden = !there;
  updatesOfOne = [];
  if (!there) return;
  const rs = task().relaxations, places = rs.map((_, place) => place).reverse();
  $("one-title").textContent = `Query ${query}: ${task().classes[own(query)]} → ${task().classes[target(query)]}`;
  $("one-query").replaceChildren(...(query < set().pictures ? [plain(picture(set().sheet, 0, query, "the query"))] : []));
  const heads = places.map((place) => el("th", { scope: "col" }, el("button", { onclick: () => moveTo(place) }, `r = ${rs[place]}`)));
  updatesOfOne.push(() => {
    for (const [at, head] of heads.entries()) head.classList.toggle("chosen", places[at] === S.r);
  });
  $("one-head").replaceChildren(el("tr", {}, el("th", { scope: "col" }, "method"), ...heads, el("th", { scope: "col" }, "how")));
  $("one-body").replaceChildren(...galleryMethods().map((method) => el("tr", {}, el("th", { scope: "row" }, method),
    ...places.map((place) => {
      const { box, update } = answerBox(method, query);
      update(place);
      const found = answer(method, query, place);
      if (found) box.lastChild.append(el("span", {}, `L1 ${found.l1.toFixed(4)}`));
      return el("td", {}, box);
    }), el("td", { class: "how" }, ...howOf(method, query)))));
  for (const update of updatesOfOne) update();
}

/* What the method has intervened on: its path, and what it tells in words. */
function howOf(method, query) {
  const of = answered(method), parts = [];
  if (query >= set().pictures) return parts;
  if (of.path) {
    const steps = Array.from({ length: of.steps }, (_, step) => plain(picture(of.path, step, query, `step ${step + 1} of the path`)));
    parts.push(el("div", { class: "path" }, el("span", {}, "from start to answer:"), ...steps));
  }
  if (of.donor) parts.push(el("div", { class: "path" }, el("span", {}, "took from:"), plain(picture(of.donor, 0, query, "the training picture that it took from"))));
  for (const [name, texts] of Object.entries(of.told || {})) parts.push(el("div", {}, `${name}: ${texts[query]}`));
  return parts;
}

/* -- the state: drawn again where it changed, kept in the address ------------------------------------------------- */

const DRAWN = { said: drawSaid, table: drawTable, columns: drawColumns, legend: drawLegend, curve: drawCurve,
  filters: drawFilters, gallery: drawGallery, one: drawOne };

function changed(parts) {
  for (const part of parts) DRAWN[part]();
  remember();
}

/* A step of the slider: the pictures stay where they are, unless what fits depends on r. */
function moveTo(place) {
  S.r = Math.max(0, Math.min(task().relaxations.length - 1, place));
  showR();
  for (const part of [drawSaid, updateTable, markHere]) part();
  if (S.outcome !== "any" || S.order !== "asked") drawGallery();
  else {
    for (const update of updates) update();
    $("gallery-count").textContent = counted(fitting());
  }
  for (const update of updatesOfOne) update();
  remember();
}

function showR() {
  const rs = task().relaxations;
  Object.assign($("r"), { max: Math.max(0, rs.length - 1), value: S.r, disabled: rs.length < 2 });
  const extreme = { 0: " (free)", 1: " (keeps most)" }[rs[S.r]] || "";
  const text = rs.length ? `r = ${rs[S.r]}${extreme}` : "no answers";
  $("r-shown").textContent = text;
  $("r").setAttribute("aria-valuetext", text);
}

function remember() {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(S)) if (value !== DEFAULTS[name]) kept.set(name, value);
  kept.set("task", task().name);
  if (task().relaxations.length) kept.set("r", task().relaxations[S.r]);
  history.replaceState(null, "", `#${kept}`);
}

function restore() {
  const kept = new URLSearchParams(location.hash.slice(1));
  Object.assign(S, DEFAULTS);
  for (const [name, value] of kept) if (name in DEFAULTS) S[name] = typeof DEFAULTS[name] === "string" ? value : value === "true";
  S.task = Math.max(0, D.tasks.findIndex((one) => one.name === kept.get("task")));
  S.r = Math.max(0, task().relaxations.indexOf(Number(kept.get("r"))));
  S.page = Math.max(0, Number(kept.get("page")) || 0);
  if (!task().choices.includes(S.seed)) S.seed = "";
  const valid = [["outcome", OUTCOMES], ["order", ORDERS], ["view", VIEWS]];
  for (const [name, known] of valid) if (!(S[name] in known)) S[name] = DEFAULTS[name];
  for (const name of ["own", "target"]) if (!(S[name] in task().classes)) S[name] = "";
  if (!/^\d*$/.test(S.query)) S.query = "";
  drawAll();
}

function drawAll() {
  options($("task"), D.tasks.map((one, place) => [String(place), one.name]), String(S.task));
  options($("seed"), task().choices.map((one) => [one, one === "mean" ? `mean of ${task().choices.length - 1} seeds` : `seed ${one}`]), choice());
  $("warned").replaceChildren(...task().warnings.map((text) => el("p", { class: "warning" }, text)));
  document.body.style.setProperty("--letters", Math.max(...task().classes.map((name) => name.length), 1));
  showR();
  blink();
  changed(Object.keys(DRAWN));
}

function listen() {
  const set = (name, parts) => $(name).addEventListener("change", (event) => {
    Object.assign(S, { [name]: event.target.value, page: 0 });
    if (name === "view") blink();
    changed(parts);
  });
  $("task").addEventListener("change", (event) => {
    const r = task().relaxations[S.r], place = Number(event.target.value);
    Object.assign(S, { task: place, seed: "", own: "", target: "", method: "", query: "", page: 0, r: Math.max(0, D.tasks[place].relaxations.indexOf(r)) });
    drawAll();
  });
  $("seed").addEventListener("change", (event) => { Object.assign(S, { seed: event.target.value, query: "", page: 0 }); drawAll(); });
  $("r").addEventListener("input", (event) => moveTo(Number(event.target.value)));
  for (const name of ["own", "target", "method", "outcome", "order", "view"]) set(name, ["gallery", "one"]);
  for (const [name, step] of [["before", -1], ["after", 1]]) $(name).addEventListener("click", () => { S.page += step; changed(["gallery"]); });
  $("reset").addEventListener("click", () => { Object.assign(S, { own: "", target: "", method: "", outcome: "any", order: "asked", page: 0 }); changed(["filters", "gallery", "one"]); });
  $("close").addEventListener("click", () => { S.query = ""; changed(["one"]); $("gallery").scrollIntoView(); });
  $("save-curve").addEventListener("click", saveCurve);
  for (const [name, text] of [["markdown", markdown], ["latex", latex], ["csv", csv]]) $(`copy-${name}`).addEventListener("click", () => copy(text(), $("copied")));
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", () => copy($(button.dataset.copies).textContent, button.nextElementSibling));
  }
  for (const link of document.querySelectorAll("[data-jump]")) {
    link.addEventListener("click", (event) => { event.preventDefault(); $(link.dataset.jump).scrollIntoView(); });
  }
  const sized = new ResizeObserver((seen) => {
    for (const box of new Set(seen.map(({ target }) => target.closest(".scroll")))) {
      const cut = box.scrollWidth > box.clientWidth;
      box.classList.toggle("cut", cut);
      box.tabIndex = cut || box.scrollHeight > box.clientHeight ? 0 : -1; // what scrolls can be reached by the keyboard
    }
  });
  for (const part of document.querySelectorAll(".scroll, .scroll > table")) sized.observe(part);
  document.addEventListener("keydown", keyed);
  addEventListener("hashchange", restore);
  addEventListener("resize", drawCurve);
}

/* Arrows: left and right are r; up and down are the query, once one is open. */
function keyed(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key], upright = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (sideways) moveTo(S.r + sideways);
  else if (upright && S.query !== "") {
    const found = fitting(), at = found.indexOf(Number(S.query));
    const next = found[Math.max(0, Math.min(found.length - 1, at + upright))];
    if (next === undefined) return;
    event.preventDefault();
    S.query = String(next);
    const page = Math.floor(found.indexOf(next) / PAGE);
    if (page !== S.page) { S.page = page; drawGallery(); }
    changed(["one"]);
  }
}

if (D.tasks.length) {
  listen();
  restore();
}
