"use strict";
const SIZE = 280, PEN = 18, STEP = 8;
const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d", {willReadFrequently: true});
const models = JSON.parse(document.getElementById("models").textContent);
const classes = JSON.parse(document.getElementById("classes").textContent);
for (const model of models)
  for (const name of Object.keys(model.weights)) model.weights[name] = decodeFloats(model.weights[name]);
const state = {last: null, drawing: false, cursor: [SIZE / 2, SIZE / 2], penDown: false, waiting: false, empty: true};

function clearAll() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, SIZE, SIZE);
  Object.assign(state, {last: null, empty: true, penDown: false, cursor: [SIZE / 2, SIZE / 2]});
  showCursor();
  answer();
}

function lineTo(x, y) {
  const [fromX, fromY] = state.last || [x, y];
  Object.assign(pen, {strokeStyle: "#000", lineWidth: PEN, lineCap: "round", lineJoin: "round"});
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(x + 0.01, y); // a line without length would draw nothing
  pen.stroke();
  Object.assign(state, {last: [x, y], empty: false});
  if (!state.waiting) {
    state.waiting = true;
    setTimeout(() => { state.waiting = false; answer(); }, 60);
  }
}

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * SIZE / box.width, (event.clientY - box.top) * SIZE / box.height];
};
canvas.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  canvas.focus({preventScroll: true});
  try { canvas.setPointerCapture(event.pointerId); } catch { /* the pointer is gone already */ }
  Object.assign(state, {last: null, drawing: true});
  lineTo(...place(event));
});
canvas.addEventListener("pointermove", (event) => {
  if (!state.drawing) return;
  for (const part of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) lineTo(...place(part));
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { state.drawing = false; });

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
canvas.addEventListener("keydown", (event) => {
  if (event.key === " ") {
    state.penDown = !state.penDown;
    state.last = null;
    if (state.penDown) lineTo(...state.cursor);
    say(state.penDown ? "Pen down" : "Pen up");
  } else if (ARROWS[event.key]) {
    state.cursor = state.cursor.map((at, axis) => clip(at + STEP * ARROWS[event.key][axis], 0, SIZE));
    if (state.penDown) lineTo(...state.cursor);
  } else if (event.key === "Escape" || event.key === "Delete") clearAll();
  else return;
  event.preventDefault();
  showCursor();
});
function showCursor() {
  const mark = document.getElementById("cursor");
  mark.style.left = `${100 * state.cursor[0] / SIZE}%`;
  mark.style.top = `${100 * state.cursor[1] / SIZE}%`;
  mark.classList.toggle("down", state.penDown);
}
const say = (text) => { document.getElementById("spoken").textContent = text; };

function paint(target, height, width, grey) {
  target.height = height;
  target.width = width;
  const image = new ImageData(width, height);
  for (let at = 0; at < height * width; at++) image.data.set([grey(at), grey(at), grey(at), 255], 4 * at);
  target.getContext("2d").putImageData(image, 0, 0);
}

function answer() {
  const image = state.empty ? null : toMnist(pen.getImageData(0, 0, SIZE, SIZE).data, SIZE, SIZE);
  paint(document.getElementById("seen"), 28, 28, (at) => image ? image[at] : 0);
  const votes = new Array(10).fill(0);
  for (const model of models) {
    const result = image && runNetwork(model, image);
    showAnswer(model, result);
    if (result) votes[result.probabilities.indexOf(Math.max(...result.probabilities))]++;
  }
  const most = Math.max(...votes);
  const verdict = document.getElementById("verdict"), winner = classes[votes.indexOf(most)];
  verdict.textContent = most ? `${most} of ${models.length} networks say ${winner}.` : verdict.dataset.task;
}

function showAnswer(model, result) {
  const card = document.getElementById(`model-${model.name}`);
  const best = result ? result.probabilities.indexOf(Math.max(...result.probabilities)) : -1;
  card.querySelector(".digit").textContent = result ? classes[best] : "–";
  card.querySelector(".sure").textContent = result ? `${(100 * result.probabilities[best]).toFixed(1)} %` : "";
  card.querySelectorAll(".bar i").forEach((bar, digit) => {
    bar.style.height = `${result ? 100 * result.probabilities[digit] : 0}%`;
    bar.classList.toggle("best", digit === best);
  });
  const host = document.getElementById(`maps-${model.name}`);
  if (!host) return;
  host.replaceChildren();
  (result ? result.maps : []).forEach((block, number) => {
    const row = host.appendChild(document.createElement("div"));
    row.className = "maps";
    row.setAttribute("role", "img");
    row.setAttribute("aria-label", `Block ${number + 1} of model ${model.name}: ${block.channels} feature maps`);
    const largest = block.data.reduce((a, b) => Math.max(a, b), 1e-9);
    for (let channel = 0; channel < block.channels; channel++)
      paint(row.appendChild(document.createElement("canvas")), block.height, block.width,
        (at) => 255 * clip(block.data[at * block.channels + channel] / largest, 0, 1));
  });
}

document.getElementById("clear").addEventListener("click", clearAll);
clearAll();
