"use strict";
/* One picture after the other; what a person says of each is kept until it is saved as a file. */

const pictures = JSON.parse(document.getElementById("data").textContent).pictures;
const said = pictures.map(() => ({ seen: null, real: null }));
const $ = (id) => document.getElementById(id);
let at = 0;

const whole = (one) => one.seen !== null && one.real !== null;
const answered = () => said.filter(whole).length;

/* What is said of the picture that is shown; once both questions are answered, the next one comes. */
function say(answer) {
  const before = whole(said[at]);
  Object.assign(said[at], answer);
  if (!before && whole(said[at])) go(1);
  else draw();
}

function button(text, value) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-pressed", String(said[at].seen === value));
  made.addEventListener("click", () => say({ seen: value }));
  return made;
}

function draw() {
  const focused = document.activeElement.parentNode === $("classes") ? document.activeElement.textContent : null;
  $("picture").src = pictures[at].picture;
  $("progress").textContent = `picture ${at + 1} of ${pictures.length}, ${answered()} answered`;
  $("classes").replaceChildren(...pictures[at].classes.map((name) => button(name, name)), button("none of these", ""));
  for (const one of $("classes").children) if (one.textContent === focused) one.focus();
  $("real-yes").setAttribute("aria-pressed", String(said[at].real === true));
  $("real-no").setAttribute("aria-pressed", String(said[at].real === false));
  $("back").disabled = at === 0;
  $("next").disabled = at === pictures.length - 1;
}

function go(step) {
  at = Math.max(0, Math.min(pictures.length - 1, at + step));
  draw();
}

function save() {
  const answers = said.map((one, place) => ({ code: pictures[place].code, ...one })).filter(whole);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify({ answers }, null, 1)}\n`], { type: "application/json" }));
  link.download = "blind.json";
  link.click();
  $("saved").textContent = `${answers.length} answers saved; put the file into the results folder, then: benchmark report`;
}

for (const [id, real] of [["real-yes", true], ["real-no", false]]) {
  $(id).addEventListener("click", () => say({ real }));
}
$("back").addEventListener("click", () => go(-1));
$("next").addEventListener("click", () => go(1));
$("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") go(-1);
  if (event.key === "ArrowRight") go(1);
});
draw();
