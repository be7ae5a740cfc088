// The page of mbn-live. The token comes in the URL's fragment, which no request carries, and goes
// out in a header. One picture is at the device at a time; while the camera runs, the next one is
// taken when the answer is there. Names are put in as text, never as markup.
"use strict";

const token = location.hash.slice(1);
const at = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");
const source = at("source");
const paper = source.getContext("2d", { willReadFrequently: true });
const video = at("video");
let facts = null;
let mode = "picture"; // or camera, draw
let busy = false;
let waiting = null; // the newest picture that came while the device was busy
let sheets = 0; // empty ones so far: an answer to what stood on an older one comes too late
let said = ""; // what was last told to a screen reader
let stream = null;

async function ask(path, body) {
  const headers = { "X-Mbn-Token": token };
  const given = body === undefined ? { headers } : { method: "POST", headers, body };
  let response;
  try {
    response = await fetch(path, { ...given, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Error("mbn-live no longer answers: start it again and open the link that it prints.");
  }
  const found = await response.json().catch(() => ({ error: `an answer of status ${response.status}` }));
  if (!response.ok) {
    const next = found.kind === "device" ? " The next picture opens the device again." : "";
    throw new Error(found.error + next);
  }
  return found;
}

const ANSWER = ["classes", "share-note", "proof", "costs"];

function fail(words) {
  at("error").textContent = words;
  at("error").hidden = false;
}

function tell(words) {
  if (words !== said) at("status").textContent = words;
  said = words;
}

// -- one picture to the device --------------------------------------------------------------------
async function send(picture) {
  if (busy) {
    waiting = picture;
    return;
  }
  busy = true;
  const own = sheets;
  document.body.setAttribute("aria-busy", "true");
  if (mode === "picture") tell("The device is thinking.");
  try {
    const found = await ask("/api/picture", picture);
    if (own === sheets) show(found);
    at("error").hidden = true;
  } catch (error) {
    fail(error.message);
    for (const part of ANSWER) at(part).hidden = true; // an older one would be taken for this
    tell(mode === "picture" ? "No answer to this picture." : "No answer.");
    if (mode === "camera") stopCamera();
  }
  busy = false;
  document.body.removeAttribute("aria-busy");
  const next = waiting;
  waiting = null;
  if (next !== null) send(next);
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function row(table, heading, cells, wide = []) {
  const made = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = heading;
  made.append(head);
  for (const [index, cell] of cells.entries()) {
    const one = document.createElement("td");
    if (wide.includes(index)) one.className = "wide"; // left out where there is no room
    if (typeof cell === "string") one.textContent = cell;
    else one.append(cell);
    made.append(one);
  }
  table.append(made);
  return made;
}

function bar(share) {
  const track = document.createElement("div");
  const fill = document.createElement("div");
  track.className = "track";
  fill.className = "fill";
  fill.style.width = `${100 * share}%`;
  track.setAttribute("aria-hidden", "true"); // the number stands beside it
  track.append(fill);
  return track;
}

function show(found) {
  const classes = at("classes").tBodies[0];
  classes.replaceChildren();
  for (const one of found.classes.slice(0, 10)) {
    row(classes, one.name, [bar(one.share), percent(one.share)]);
  }
  at("classes").hidden = at("share-note").hidden = false;
  const best = found.classes[0];
  // From the camera shares change all the time: a screen reader hears of another class alone.
  tell(mode === "camera" ? best.name : `${best.name}, ${Math.round(100 * best.share)} %`);
  showSeen(found.seen);
  const exact = at("exact");
  exact.className = found.exact ? "good" : "bad";
  exact.textContent = found.exact
    ? `✓ every bit equals the exact reference (${count.format(found.values)} values)`
    : `✗ DIFFERENT: ${found.difference}`;
  at("whole").textContent = costs(found);
  at("seconds").textContent = `${found.seconds.toFixed(2)} s`;
  at("proof").hidden = false;
  showStages(found);
}

function costs(found) {
  if (found.cycles === null) return "not known";
  const ms = found.ms === null ? "" : `, ${found.ms.toFixed(1)} ms`;
  return `${count.format(found.cycles)} cycles${ms} (${found.measured ? "measured" : "modelled"})`;
}

function showSeen(seen) {
  const canvas = at("seen");
  canvas.width = seen.width;
  canvas.height = seen.height;
  const pixels = Uint8Array.from(atob(seen.pixels), (one) => one.charCodeAt(0));
  const drawn = new ImageData(seen.width, seen.height);
  for (let index = 0; index < seen.width * seen.height; index++) {
    for (let channel = 0; channel < 3; channel++) {
      const from = seen.channels === 1 ? index : seen.channels * index + channel;
      drawn.data[4 * index + channel] = pixels[from];
    }
    drawn.data[4 * index + 3] = 255;
  }
  canvas.getContext("2d").putImageData(drawn, 0, 0);
  at("seen-text").textContent = `As the network sees it: ${seen.width}\u00a0×\u00a0${seen.height}`;
}

const WIDE = [0, 2]; // in, MACs

function showStages(found) {
  const stages = at("stages").tBodies[0];
  stages.replaceChildren();
  const known = found.stages.map((one) => one.cycles ?? 0);
  const most = Math.max(1, ...known);
  const number = (value) => (value === null ? "—" : count.format(value));
  const ms = (value) => (value === null ? "—" : value.toFixed(2));
  found.stages.forEach((one, index) => {
    const cells = [one.input, one.output, count.format(one.macs), number(one.cycles), ms(one.ms)];
    const part = one.cycles === null ? "" : bar(known[index] / most);
    row(stages, `${index} ${one.kind}`, [...cells, part], WIDE);
  });
  const macs = count.format(found.stages.reduce((sum, one) => sum + one.macs, 0));
  const last = ["", "", macs, number(found.cycles), ms(found.ms), ""];
  const total = row(stages, "whole", last, WIDE);
  total.className = "total";
  const clock = facts?.clock_hz && found.cycles !== null ? `; milliseconds at ${facts.clock_hz / 1e6} MHz` : "";
  at("counted").textContent = `Cycles are ${found.counted}${clock}.`;
  at("costs").hidden = false;
}

// -- pictures that are dropped, pasted or chosen --------------------------------------------------
async function take(file) {
  leave("picture");
  const most = facts?.most_bytes ?? Infinity;
  if (file.size > most) {
    // The server would refuse it while it comes, which looks like a broken connection.
    fail(`A file of ${count.format(file.size)} bytes is too large: at most ${count.format(most)}.`);
    return;
  }
  paper.clearRect(0, 0, source.width, source.height);
  source.setAttribute("aria-label", `The picture ${file.name || ""}`);
  at("hint").hidden = true;
  at("drop").classList.add("full");
  try {
    const image = await createImageBitmap(file);
    const scale = Math.min(source.width / image.width, source.height / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    paper.drawImage(image, (source.width - width) / 2, (source.height - height) / 2, width, height);
    image.close();
  } catch {
    at("hint").textContent = "The browser can't show this one";
    at("hint").hidden = false;
  }
  send(file);
}

function leave(next) {
  if (mode === "camera" && next !== "camera") stopCamera();
  mode = next;
  at("draw").setAttribute("aria-pressed", String(mode === "draw"));
  at("clear").hidden = at("draw-help").hidden = mode !== "draw";
  source.classList.toggle("drawing", mode === "draw");
  source.tabIndex = mode === "draw" ? 0 : -1;
}

at("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) take(file);
  event.target.value = ""; // so that the same one can be chosen again
});

document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])][0];
  if (file) take(file);
  else fail("What was pasted is no picture.");
});

// The whole page takes drops, so that a near miss does not open the file instead.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) take(file);
  else fail("What was dropped is no file.");
});

// -- the camera -----------------------------------------------------------------------------------
async function startCamera() {
  leave("camera");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    leave("picture");
    const reason = error.name === "NotFoundError" ? "there is none" : "the browser does not allow it";
    fail(`The camera can't be used: ${reason}.`);
    return;
  }
  video.srcObject = stream;
  await video.play();
  video.hidden = false;
  at("hint").hidden = true;
  at("camera").setAttribute("aria-pressed", "true");
  at("camera").textContent = "Stop the camera";
  const own = stream;
  while (stream === own) {
    await send(await frame());
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

function frame() {
  paper.clearRect(0, 0, source.width, source.height);
  const made = document.createElement("canvas");
  const side = Math.min(video.videoWidth, video.videoHeight);
  made.width = made.height = Math.min(side, 480);
  const [left, top] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
  made.getContext("2d").drawImage(video, left, top, side, side, 0, 0, made.width, made.height);
  return new Promise((done) => made.toBlob(done, "image/png"));
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
  video.hidden = true;
  if (mode === "camera") mode = "picture";
  at("hint").hidden = false;
  at("camera").setAttribute("aria-pressed", "false");
  at("camera").textContent = "Use the camera";
}

at("camera").addEventListener("click", () => (mode === "camera" ? stopCamera() : startCamera()));

// -- drawing --------------------------------------------------------------------------------------
const pen = { x: 0, y: 0, down: false };
let drawnSoon = 0;

function sheet() {
  leave("draw");
  clearTimeout(drawnSoon);
  waiting = null;
  sheets++;
  paper.fillStyle = "#ffffff";
  paper.fillRect(0, 0, source.width, source.height);
  at("hint").hidden = true;
  at("drop").classList.add("full");
  source.setAttribute("aria-label", "A sheet to draw a digit on");
  [pen.x, pen.y, pen.down] = [source.width / 2, source.height / 4, false];
}

function line(x, y) {
  paper.strokeStyle = "#101010";
  paper.lineWidth = source.width / 16; // as thick as the digits it was trained on
  paper.lineCap = paper.lineJoin = "round";
  paper.beginPath();
  paper.moveTo(pen.x, pen.y);
  paper.lineTo(x, y);
  paper.stroke();
  clearTimeout(drawnSoon);
  drawnSoon = setTimeout(() => centred().toBlob(send, "image/png"), 250);
}

// The ink in the middle, at most 80 % of the sheet's side: as the digits of the training stand.
function centred() {
  const { width, height } = source;
  const ink = paper.getImageData(0, 0, width, height).data;
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let index = 0; index < width * height; index++) {
    if (ink[4 * index] > 127) continue;
    const [x, y] = [index % width, Math.floor(index / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  }
  const made = document.createElement("canvas");
  [made.width, made.height] = [width, height];
  const canvas = made.getContext("2d");
  canvas.fillStyle = "#ffffff";
  canvas.fillRect(0, 0, width, height);
  const [wide, high] = [right - left, bottom - top];
  if (wide <= 0 || high <= 0) return made;
  const scale = (0.8 * width) / Math.max(wide, high);
  const [across, down] = [wide * scale, high * scale];
  const place = [(width - across) / 2, (height - down) / 2, across, down];
  canvas.drawImage(source, left, top, wide, high, ...place);
  return made;
}

function place(event) {
  const box = source.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * source.width) / box.width,
    ((event.clientY - box.top) * source.height) / box.height,
  ];
}

source.addEventListener("pointerdown", (event) => {
  if (mode !== "draw") return;
  source.setPointerCapture(event.pointerId);
  [pen.x, pen.y] = place(event);
  pen.down = true;
  line(pen.x, pen.y);
});
source.addEventListener("pointermove", (event) => {
  if (mode !== "draw" || !pen.down || event.buttons === 0) return;
  const [x, y] = place(event);
  line(x, y);
  [pen.x, pen.y] = [x, y];
});
source.addEventListener("pointerup", () => (pen.down = false));

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
source.addEventListener("keydown", (event) => {
  if (mode !== "draw") return;
  if (event.key === " ") {
    event.preventDefault();
    pen.down = !pen.down;
    if (pen.down) line(pen.x, pen.y);
  } else if (event.key in STEPS) {
    event.preventDefault();
    const [right, down] = STEPS[event.key];
    const inside = (value, most) => Math.max(0, Math.min(most, value));
    const x = inside(pen.x + (right * source.width) / 20, source.width);
    const y = inside(pen.y + (down * source.height) / 20, source.height);
    if (pen.down) line(x, y);
    [pen.x, pen.y] = [x, y];
  }
});

at("draw").addEventListener("click", () => {
  sheet();
  source.focus();
});
at("clear").addEventListener("click", () => {
  sheet();
  tell("The sheet is empty.");
});

// -- what it is about -----------------------------------------------------------------------------
ask("/api/facts")
  .then((found) => {
    facts = found;
    const size = `${found.width} × ${found.height} × ${found.channels}`;
    document.title = `${found.network} · mbn live`;
    at("title").textContent = found.network;
    const board = found.board.charAt(0).toUpperCase() + found.board.slice(1);
    at("where").textContent =
      `${board}. Takes ${size}, tells ${found.classes.length} classes apart: ` +
      `${found.classes.slice(0, 20).join(", ")}${found.classes.length > 20 ? ", …" : ""}.`;
    at("draw").hidden = !found.draws;
  })
  .catch((error) => fail(error.message));
