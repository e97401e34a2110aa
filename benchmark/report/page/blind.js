"use strict";
/* One picture after the other; what a person says of each is kept until it is saved as a file. */

const pictures = JSON.parse(document.getElementById("data").textContent).pictures;
const said = pictures.map(() => ({ seen: null, real: null }));
const $ = (id) => document.getElementById(id);
let at = 0;

const answered = () => said.filter((one) => one.seen !== null && one.real !== null).length;

function button(text, value) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-pressed", String(said[at].seen === value));
  made.addEventListener("click", () => { said[at].seen = value; draw(); });
  return made;
}

function draw() {
  $("picture").src = pictures[at].picture;
  $("progress").textContent = `picture ${at + 1} of ${pictures.length}, ${answered()} answered`;
  $("classes").replaceChildren(...pictures[at].classes.map((name) => button(name, name)), button("none of these", ""));
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
  const answers = said.map((one, place) => ({ code: pictures[place].code, ...one })).filter((one) => one.seen !== null && one.real !== null);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify({ answers }, null, 1)}\n`], { type: "application/json" }));
  link.download = "blind.json";
  link.click();
  $("saved").textContent = `${answers.length} answers saved; put the file into the results folder, then: benchmark report`;
}

for (const [id, real] of [["real-yes", true], ["real-no", false]]) {
  $(id).addEventListener("click", () => { said[at].real = real; draw(); });
}
$("back").addEventListener("click", () => go(-1));
$("next").addEventListener("click", () => go(1));
$("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") go(-1);
  if (event.key === "ArrowRight") go(1);
});
draw();
