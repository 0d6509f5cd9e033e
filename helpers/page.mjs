// A network in the browser: a picture is chosen, taken or drawn, prepared as helpers/pictures.py prepares it in Python,
// and shown to the network, which ONNX Runtime Web runs on this device.

import * as ort from "./ort.wasm.bundle.min.mjs";

const MOST = 16_000_000; // pixels of a picture that are looked at one by one; a larger one is made smaller at first
const SHOWN = 5; // answers
const SURE = 0.5; // below this share the best answer is called a guess
// A drawing is scaled as the pocket data's are, in shares of the picture: its longer side, and the width of a line.
const [DRAWN, LINE, SMALLEST] = [80 / 96, 4 / 96, 0.1];
const FINE = 4; // it is drawn so many times larger and then made smaller, so that its lines have no steps

const $ = (id) => document.getElementById(id);
let about; // what page.json says: the classes, the size of a picture, and words about the network
let session;

// --- the network -------------------------------------------------------------------------------------------------

// Reads the network and what runs it. One thread: more would need headers that a plain server does not send.
async function load() {
  ort.env.wasm.numThreads = 1;
  const [card, program, network] = await Promise.all(
    ["page.json", "ort-wasm-simd-threaded.wasm", "network.onnx"].map(async (name) => {
      const answer = await fetch(name);
      if (!answer.ok) throw new Error(`${name} is missing`);
      return answer.arrayBuffer();
    }));
  about = JSON.parse(new TextDecoder().decode(card));
  ort.env.wasm.wasmBinary = program;
  session = await ort.InferenceSession.create(new Uint8Array(network), { executionProviders: ["wasm"] });
  await logits(new Uint8Array(3 * about.size ** 2)); // the first time takes longest: not when somebody waits
}

// What the network says of `pixels`: a plane of red, one of green and one of blue, each size x size bytes.
export async function logits(pixels) {
  const images = new ort.Tensor("uint8", pixels, [1, 3, about.size, about.size]);
  return Array.from((await session.run({ images })).logits.data);
}

export function softmax(values) {
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

// --- from a picture to the network's pixels ------------------------------------------------------------------------

// The picture in a file: upright, its central square, scaled to the network's size, on white where it is transparent.
export async function read(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }); // as Pillow, which ignores profiles
  const scale = Math.min(1, Math.sqrt(MOST / (bitmap.width * bitmap.height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return square(canvas);
}

// The central square of a canvas in size x size pixels, as three planes of bytes.
function square(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const side = Math.min(width, height);
  const across = weights((width - side) / 2, side, width);
  const down = weights((height - side) / 2, side, height);
  const pixels = new Uint8Array(3 * about.size ** 2);
  for (let colour = 0; colour < 3; colour += 1) {
    const rows = new Uint8ClampedArray(about.size * height); // first every row becomes narrower, then it is made lower
    for (let y = 0; y < height; y += 1) {
      const row = 4 * y * width + colour;
      across.forEach(({ first, shares }, x) => {
        let sum = 0;
        for (let k = 0; k < shares.length; k += 1) sum += shares[k] * data[row + 4 * (first + k)];
        rows[y * about.size + x] = sum; // a clamped array rounds
      });
    }
    const plane = new Uint8ClampedArray(about.size ** 2);
    down.forEach(({ first, shares }, y) => {
      for (let x = 0; x < about.size; x += 1) {
        let sum = 0;
        for (let k = 0; k < shares.length; k += 1) sum += shares[k] * rows[(first + k) * about.size + x];
        plane[y * about.size + x] = sum;
      }
    });
    pixels.set(plane, colour * about.size ** 2);
  }
  return pixels;
}

// For each new pixel of a line: which old ones it is made of, from `first` on, and with which shares. Browsers scale
// each in their own way; this is bicubic interpolation with a wider reach where it makes smaller, Pillow's way.
function weights(start, length, whole) {
  const scale = length / about.size;
  const reach = Math.max(1, scale);
  return Array.from({ length: about.size }, (_, place) => {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - 2 * reach + 0.5));
    const end = Math.min(whole, Math.floor(centre + 2 * reach + 0.5));
    const heights = Array.from({ length: end - first }, (_, k) => cubic((first + k + 0.5 - centre) / reach));
    const sum = heights.reduce((a, b) => a + b);
    return { first, shares: heights.map((height) => height / sum) };
  });
}

// Keys's cubic with a = -1/2 (1981).
function cubic(x) {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  return far < 2 ? ((-0.5 * far + 2.5) * far - 4) * far + 2 : 0;
}

// --- the drawing pad ---------------------------------------------------------------------------------------------

const strokes = []; // lists of points [x, y] from 0 to 1

function trace(pen, place, width) {
  pen.lineWidth = width;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "black";
  for (const [start, ...others] of strokes) {
    pen.beginPath();
    pen.moveTo(...place(start));
    for (const point of others.length ? others : [start]) pen.lineTo(...place(point));
    pen.stroke();
  }
}

function showPaper() {
  const paper = $("paper");
  paper.width = paper.height = Math.round(paper.clientWidth * window.devicePixelRatio); // clears it, too
  trace(paper.getContext("2d"), (point) => point.map((value) => value * paper.width), 0.022 * paper.width);
}

// The drawing in black on white, in the middle and as large as the network is used to.
function drawing() {
  const canvas = document.createElement("canvas");
  const side = canvas.width = canvas.height = FINE * about.size;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, side, side);
  const [low, high] = [Math.min, Math.max].map(
    (end) => [0, 1].map((axis) => strokes.flat().reduce((most, point) => end(most, point[axis]), strokes[0][0][axis])));
  const scale = side * (DRAWN - LINE) / Math.max(high[0] - low[0], high[1] - low[1], SMALLEST);
  trace(pen, (point) => point.map((value, axis) => (value - (low[axis] + high[axis]) / 2) * scale + side / 2),
    LINE * side);
  return square(canvas);
}

function followPen(paper) {
  let pointer = null;
  const place = (event) => {
    const box = paper.getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  };
  paper.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    event.preventDefault(); // no text is selected, nothing is dragged
    paper.setPointerCapture(event.pointerId); // a stroke that leaves the pad goes on
    pointer = event.pointerId;
    strokes.push([place(event)]);
    showPaper();
  });
  paper.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(passed.length ? passed : [event]).map(place));
    showPaper();
  });
  paper.addEventListener("lostpointercapture", (event) => { // lifted, or taken away by the system
    if (event.pointerId !== pointer) return;
    pointer = null;
    lookAtDrawing();
  });
}

function lookAtDrawing() {
  if (strokes.length) {
    look(drawing);
    return;
  }
  turn += 1; // an answer that is still being computed comes too late
  $("result").hidden = true;
  say(`Draw ${listed("or")}.`);
}

// --- the page ----------------------------------------------------------------------------------------------------

let turn = 0; // counts what was shown to the network, so that a late answer does not replace a newer one

function say(sentence) {
  $("words").textContent = sentence;
}

function listed(word) {
  const names = about.classes;
  return names.length > 12 ? `one of its ${names.length} classes` : `${names.slice(0, -1).join(", ")} ${word} ${names.at(-1)}`;
}

// Shows the network what `take` gives, and its answers to the reader.
async function look(take) {
  const mine = turn += 1;
  say("Looking…");
  try {
    const pixels = await take();
    const shares = softmax(await logits(pixels));
    if (mine === turn) show(pixels, shares);
  } catch (error) {
    console.error(error);
    if (mine !== turn) return;
    $("result").hidden = true;
    say("This file can't be read as a picture here. Choose a JPEG, PNG or WebP file.");
  }
}

function show(pixels, shares) {
  const best = shares.map((share, place) => [share, about.classes[place]]).sort((a, b) => b[0] - a[0]).slice(0, SHOWN);
  const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
  $("answers").replaceChildren(...best.map(([share, name]) => {
    const line = document.createElement("li");
    const [word, number, bar, part] = ["span", "span", "div", "span"].map((tag) => document.createElement(tag));
    word.textContent = name;
    number.textContent = percent(share);
    number.className = "share";
    bar.className = "bar";
    bar.append(part);
    part.style.width = `${100 * share}%`;
    line.append(word, number, bar);
    return line;
  }));
  const seen = $("seen");
  seen.width = seen.height = about.size;
  const image = new ImageData(about.size, about.size);
  const plane = about.size ** 2;
  for (let k = 0; k < plane; k += 1) {
    image.data.set([pixels[k], pixels[plane + k], pixels[2 * plane + k], 255], 4 * k);
  }
  seen.getContext("2d").putImageData(image, 0, 0);
  const [[first, name], [second, other]] = best;
  say(first >= SURE ? `${name}, ${percent(first)}`
    : `Not sure: perhaps ${name}, ${percent(first)}, or ${other}, ${percent(second)}`);
  $("result").hidden = false;
  document.body.dataset.answered = turn; // for tests: how often the network has answered
}

function openPad() {
  const closed = $("pad").hidden;
  $("pad").hidden = !closed;
  $("draw").setAttribute("aria-expanded", closed);
  if (closed) {
    showPaper();
    lookAtDrawing();
  }
}

async function start() {
  try {
    await load();
  } catch (error) {
    console.error(error);
    say("The network can't be loaded. Load the page again; if that does not help, make it anew, or try a newer browser.");
    return;
  }
  $("classes").textContent = `A network that tells ${about.classes.length} classes apart: ${listed("and")}.`;
  $("about").textContent = about.words;
  $("caption").textContent = `What the network sees: ${about.size}\u00a0×\u00a0${about.size} pixels`;
  for (const id of ["camera", "file"]) {
    $(id).addEventListener("change", ({ target }) => {
      const [file] = target.files;
      target.value = ""; // so that the same file can be chosen again
      if (file) look(() => read(file));
    });
  }
  $("draw").addEventListener("click", openPad);
  $("undo").addEventListener("click", () => { strokes.pop(); showPaper(); lookAtDrawing(); });
  $("clear").addEventListener("click", () => { strokes.length = 0; showPaper(); lookAtDrawing(); });
  window.addEventListener("resize", () => { if (!$("pad").hidden) showPaper(); });
  followPen($("paper"));
  $("ways").disabled = false;
  say("Ready.");
}

start();
