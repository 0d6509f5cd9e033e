// The drawing pad in the browser. It draws and collects strokes; the networks in Python guess what they show.
//
// Shared with Python (helpers/pad.py): `strokes`, lists of points [x, y] from 0 to 1; `rows`, how to present each
// network; and `guesses`, what they take the strokes for. The button Example asks Python for a sketch.

const LINE = 0.022; // width of a line, as a share of the pad's
const NEAR = 0.004; // a point nearer than this to the one before it adds nothing
const PATIENCE = 1000; // milliseconds to wait for an answer before the reader is told why there is none

function add(parent, tag, className = "", text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  parent.append(element);
  return element;
}

function addButton(parent, name, title, onClick) {
  const button = add(parent, "button", "", name);
  button.type = "button";
  button.title = title;
  button.addEventListener("click", onClick);
}

// --- the paper ---------------------------------------------------------------------------------------------------

function place(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const within = (value) => Math.min(1, Math.max(0, Number(value.toFixed(4))));
  return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
}

function draw(canvas, strokes) {
  const side = Math.round(canvas.clientWidth * window.devicePixelRatio); // real pixels: sharp on fine screens, too
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, side, side);
  pen.lineWidth = LINE * side;
  pen.lineCap = pen.lineJoin = "round";
  for (const [first, ...others] of strokes) {
    pen.beginPath();
    pen.moveTo(first[0] * side, first[1] * side);
    for (const [x, y] of others.length ? others : [first]) pen.lineTo(x * side, y * side);
    pen.stroke();
  }
}

// Calls `onMove(stroke)` while a stroke is being drawn and `onEnd(stroke)` when it is done. One pointer draws at a time.
function follow(canvas, onMove, onEnd) {
  let pointer = null;
  let stroke = [];
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    event.preventDefault(); // no text is selected, nothing is dragged
    canvas.setPointerCapture(event.pointerId); // a stroke that leaves the pad goes on
    pointer = event.pointerId;
    stroke = [place(event, canvas)];
    onMove(stroke);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) {
      const [x, y] = place(each, canvas);
      const [lastX, lastY] = stroke[stroke.length - 1];
      if (Math.hypot(x - lastX, y - lastY) >= NEAR) stroke.push([x, y]);
    }
    onMove(stroke);
  });
  canvas.addEventListener("lostpointercapture", (event) => { // lifted, or taken away by the system
    if (event.pointerId !== pointer) return;
    pointer = null;
    onEnd(stroke);
  });
}

// --- the answers -------------------------------------------------------------------------------------------------

function showAnswers(answers, rows, guesses) {
  answers.replaceChildren();
  for (const { method, name, past, colour } of rows) {
    const part = add(answers, "section");
    part.style.setProperty("--colour", colour);
    add(part, "h4", "", name);
    add(part, "small", "", past);
    const list = add(part, "ul");
    for (const [thing, share] of guesses[method] ?? []) {
      const line = add(list, "li");
      add(line, "span", "", thing);
      add(add(line, "span", "bar"), "span").style.width = `${100 * share}%`;
      add(line, "span", "share", `${Math.round(100 * share)} %`);
    }
  }
}

function render({ model, el }) {
  const root = add(el, "div", "drawing-pad");
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab's keys, such as d d for "delete this cell"
  const paper = add(root, "div", "paper");
  const canvas = add(paper, "canvas");
  canvas.setAttribute("role", "img");
  const buttons = add(paper, "div", "buttons");
  const answers = add(root, "div", "answers");
  const words = add(root, "p");
  words.setAttribute("role", "status"); // a screen reader says it when it changes
  let timer = null;

  const change = (strokes) => {
    model.set("strokes", strokes);
    model.save_changes();
    clearTimeout(timer);
    timer = setTimeout(() => { words.textContent = "The kernel is busy. The answers come when it is free."; }, PATIENCE);
  };
  const redraw = (unfinished = []) => {
    const strokes = model.get("strokes");
    draw(canvas, [...strokes, ...unfinished]);
    canvas.setAttribute("aria-label", `Drawing pad with ${strokes.length} strokes. Draw with a mouse, a pen or a `
      + "finger; if you use the keyboard, the button Example brings a sketch.");
  };
  const answer = () => {
    clearTimeout(timer);
    const { networks, sentence, strokes } = model.get("guesses");
    showAnswers(answers, model.get("rows"), networks);
    words.textContent = sentence;
    root.dataset.answered = strokes; // for tests: how many strokes the answers are for
  };
  const changed = () => redraw();

  follow(canvas, (stroke) => redraw([stroke]), (stroke) => change([...model.get("strokes"), stroke]));
  addButton(buttons, "Undo", "Take the last stroke back", () => change(model.get("strokes").slice(0, -1)));
  addButton(buttons, "Clear", "Begin anew on white paper", () => change([]));
  addButton(buttons, "Example", "Show a sketch that somebody else has drawn", () => model.send({ kind: "example" }));
  model.on("change:strokes", changed);
  model.on("change:guesses", answer);
  const watch = new ResizeObserver(changed);
  watch.observe(canvas);
  answer();

  return () => { // when the cell is run again or deleted
    clearTimeout(timer);
    watch.disconnect();
    model.off("change:strokes", changed);
    model.off("change:guesses", answer);
  };
}

export default { render };
