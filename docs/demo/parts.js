// Small parts of the page that several modes use.

export const find = (id) => document.getElementById(id);

export const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function show(id, text) {
  const element = find(id);
  if (element.textContent !== String(text)) element.textContent = text;
}

export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

// Say which colour of a board is what.
export function showLegend(id, game) {
  const named = (game.legend || []).map((text, i) => [text, game.colours[i]]).filter(([text]) => text);
  if (game.bottom) named.push(["paddle", game.bottom]);
  const items = named.map(([text, variable]) => {
    const [item, swatch] = [make("li", text), make("i")];
    swatch.style.background = `var(${variable})`;
    item.prepend(swatch);
    return item;
  });
  find(id).replaceChildren(...items);
}

// Let a slider show its value as text. Return a function that gives the value.
export function slider(id, toText, toValue = (number) => number) {
  const input = find(id);
  const update = () => {
    const text = toText(toValue(Number(input.value)));
    show(`${id}-text`, text);
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", update);
  update();
  return () => toValue(Number(input.value));
}

export const percent = (value) => `${Math.round(100 * value)} %`;
export const score = (value) => String(Math.round(value * 100) / 100);
export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// Show the network's outputs as bars: probabilities from 0 to 1, Q values from the lowest to the highest.
export class Bars {
  constructor(id, names, probabilities) {
    this.probabilities = probabilities;
    this.rows = names.map((name) => {
      const row = make("div", "", "bar");
      const [frame, bar] = [make("i"), make("b")];
      frame.append(bar);
      const number = make("em");
      row.append(make("span", name), frame, number);
      return { row, bar, number };
    });
    find(id).replaceChildren(...this.rows.map(({ row }) => row));
  }

  draw(outputs, action) {
    const [low, high] = this.probabilities ? [0, 1] : [Math.min(...outputs), Math.max(...outputs)];
    this.rows.forEach(({ row, bar, number }, i) => {
      const share = (outputs[i] - low) / Math.max(high - low, 1e-9);
      bar.style.width = `${this.probabilities ? 100 * share : 4 + 96 * share}%`;
      number.textContent = outputs[i].toFixed(2);
      row.classList.toggle("chosen", i === action);
    });
  }
}
