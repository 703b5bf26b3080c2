// Drawing on canvases: games, activations, weights and the learning curve. Colours are the variables of style.css.

const colours = new Map();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colours.clear());

// The value of a CSS variable.
export function colour(name) {
  if (!colours.has(name)) {
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  }
  return colours.get(name);
}

// Give a canvas the pixels of its place on the page, `ratio` times as high as wide. Return its context, width, height.
function open(canvas, ratio) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth || 300;
  const height = Math.max(Math.round(width * ratio), 1);
  const [pixelsX, pixelsY] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== pixelsX || canvas.height !== pixelsY) [canvas.width, canvas.height] = [pixelsX, pixelsY];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

// Draw what the agent sees: a board, or the cart and its pole.
export function drawGame(canvas, game, shape, obs) {
  if (shape.length === 1) drawCart(canvas, obs);
  else drawBoard(canvas, game, shape, obs);
}

function drawBoard(canvas, game, [rows, columns, channels], obs) {
  const [context, width] = open(canvas, rows / columns);
  const cell = width / columns;
  const gap = Math.max(cell * 0.05, 0.5);
  for (let i = 0; i < rows * columns; i++) {
    let name = "--cell";
    for (let c = 0; c < channels; c++) if (obs[i * channels + c] && game.colours[c]) name = game.colours[c];
    if (name !== "--cell" && game.bottom && i >= (rows - 1) * columns) name = game.bottom;
    context.fillStyle = colour(name);
    context.beginPath();
    const [x, y] = [(i % columns) * cell + gap, Math.floor(i / columns) * cell + gap];
    context.roundRect(x, y, cell - 2 * gap, cell - 2 * gap, cell * 0.12);
    context.fill();
  }
}

function drawCart(canvas, [x, , angle]) {
  const [context, width, height] = open(canvas, 0.62);
  const metre = width / 5.2;
  const [ground, middle] = [height * 0.78, width / 2 + x * metre];
  context.fillStyle = colour("--cell");
  context.fillRect(0, 0, width, height);
  context.fillStyle = colour("--soft");
  context.fillRect(0, ground + metre * 0.2, width, 2);
  for (const end of [-2.4, 2.4]) context.fillRect(width / 2 + end * metre - 1, ground, 2, metre * 0.4);
  context.fillStyle = colour("--c1");
  context.beginPath();
  context.roundRect(middle - metre * 0.35, ground - metre * 0.18, metre * 0.7, metre * 0.36, 4);
  context.fill();
  context.strokeStyle = colour("--c2");
  context.lineWidth = metre * 0.12;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(middle, ground - metre * 0.12);
  context.lineTo(middle + Math.sin(angle) * metre * 1.6, ground - metre * 0.12 - Math.cos(angle) * metre * 1.6);
  context.stroke();
}

// Draw a layer: each filter of a convolution as a small picture, the units of a dense layer as cells of one.
export function drawLayer(canvas, shape, values) {
  const top = Math.max(values.reduce((a, b) => Math.max(a, b), 0), 1e-6);
  const pictures = shape.length === 3 ? shape[2] : 1;
  const columns = shape.length === 3 ? shape[1] : Math.min(shape[0], 32);
  const rows = shape.length === 3 ? shape[0] : Math.ceil(shape[0] / columns);
  drawPictures(canvas, pictures, rows, columns, (picture, i) => {
    const value = values[i * pictures + picture];
    return value > 0 ? ["--hot", Math.sqrt(value / top)] : null;
  });
}

// Draw the weights of each unit as a picture of the board: one colour for positive, one for negative.
export function drawWeights(canvas, [rows, columns], weights) {
  const size = rows * columns;
  const top = Math.max(weights.reduce((a, b) => Math.max(a, Math.abs(b)), 0), 1e-6);
  drawPictures(canvas, weights.length / size, rows, columns, (picture, i) => {
    const value = weights[picture * size + i];
    return [value > 0 ? "--hot" : "--cold", Math.abs(value) / top];
  });
}

// Draw equal pictures side by side. shade: (picture, cell) -> [variable, opacity] or null.
function drawPictures(canvas, pictures, rows, columns, shade) {
  // With full lines. On a phone about as wide as high, otherwise twice as wide.
  const ratio = canvas.clientWidth < 450 ? 1 : 2;
  let across = Math.min(pictures, Math.ceil(Math.sqrt((pictures * rows * ratio) / columns)));
  while (pictures % across) across += 1;
  const down = pictures / across;
  const gap = pictures === 1 ? 0 : 0.6;
  const [cellsX, cellsY] = [across * columns + (across - 1) * gap, down * rows + (down - 1) * gap];
  const [context, width] = open(canvas, cellsY / cellsX);
  const cell = width / cellsX;
  for (let picture = 0; picture < pictures; picture++) {
    const left = (picture % across) * (columns + gap) * cell;
    const up = Math.floor(picture / across) * (rows + gap) * cell;
    context.globalAlpha = 1;
    context.fillStyle = colour("--cell");
    context.fillRect(left, up, columns * cell, rows * cell);
    for (let i = 0; i < rows * columns; i++) {
      const shaded = shade(picture, i);
      if (!shaded) continue;
      context.fillStyle = colour(shaded[0]);
      context.globalAlpha = shaded[1];
      context.fillRect(left + (i % columns) * cell, up + Math.floor(i / columns) * cell, cell + 0.3, cell + 0.3);
    }
  }
  context.globalAlpha = 1;
}

// Draw the curve of returns: points [steps, mean] and the range of the axis of steps.
export function drawCurve(canvas, points, steps) {
  const [context, width, height] = open(canvas, 0.5);
  const [left, right, top, bottom] = [34, 10, 12, 24];
  const most = Math.max(2000, Math.ceil(steps / 2000) * 2000);
  const x = (at) => left + (at / most) * (width - left - right);
  const y = (mean) => top + ((1 - mean) / 2) * (height - top - bottom);
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const mean of [-1, -0.5, 0, 0.5, 1]) {
    context.fillStyle = colour("--line");
    context.fillRect(left, y(mean), width - left - right, 1);
    context.fillStyle = colour("--soft");
    context.fillText(String(mean), left - 6, y(mean));
  }
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.fillText("0", left, height - 6);
  context.textAlign = "right";
  context.fillText(`${most.toLocaleString("en")} steps`, width - right, height - 6);
  context.strokeStyle = colour("--accent");
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.beginPath();
  points.forEach(([at, mean], i) => (i ? context.lineTo(x(at), y(mean)) : context.moveTo(x(at), y(mean))));
  context.stroke();
}
