// The page: loads Python, and switches between the modes and the games. `window.demo` is for tests and the console.

import { Client } from "./client.js";
import { GAMES } from "./games.js";
import { Learn } from "./learn.js";
import { find, make, mean, pause, show } from "./parts.js";
import { Play } from "./play.js";
import { evaluate, Watch } from "./watch.js";

const MODES = ["watch", "play", "learn"];

class Page {
  constructor(client, agents) {
    this.names = Object.keys(GAMES).filter((name) => name in agents);
    this.modes = { watch: new Watch(client, agents), play: new Play(client, agents), learn: new Learn(client) };
    MODES.forEach((mode) => (find(`tab-${mode}`).onclick = (event) => this.open(mode).then(() => toBoard(event))));
    this.layPicker();
    moveByArrows(find("picker"));
    moveByArrows(document.querySelector("nav"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    addEventListener("resize", () => this.redraw());
  }

  layPicker() {
    const buttons = this.names.map((name) => {
      const button = make("button", GAMES[name].title);
      button.setAttribute("role", "radio");
      button.dataset.game = name;
      button.onclick = (event) => this.choose(name).then(() => toBoard(event));
      return button;
    });
    find("picker").replaceChildren(...buttons);
  }

  async open(mode) {
    this.mode = mode;
    for (const other of MODES) {
      const tab = find(`tab-${other}`);
      tab.setAttribute("aria-selected", other === mode);
      tab.tabIndex = other === mode ? 0 : -1;
      find(other).hidden = other !== mode;
      this.modes[other].active = other === mode;
    }
    find("picker").hidden = mode === "learn";
    if (mode === "learn" && !this.modes.learn.agent) await this.modes.learn.reset();
    else if (mode !== "learn" && this.modes[mode].name !== this.game) await this.modes[mode].begin(this.game);
    this.redraw();
  }

  async choose(name) {
    this.game = name;
    for (const button of find("picker").children) {
      const chosen = button.dataset.game === name;
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
    if (this.mode && this.mode !== "learn") await this.modes[this.mode].begin(name);
  }

  redraw() {
    this.modes[this.mode]?.redraw();
  }
}

// After a click of a pointer the arrow keys belong to the game. `detail` is 0 where a key has clicked.
function toBoard(event) {
  if (event.detail) find("play-you").focus({ preventScroll: true });
}

// Arrow keys go from one button of a group to the next and choose it, as readers of a screen expect.
function moveByArrows(group) {
  group.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !group.contains(document.activeElement)) return;
    const buttons = [...group.querySelectorAll("button")];
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    event.preventDefault();
    next.focus();
    next.click();
  });
}

// Measure how many steps a second an agent plays here, each step drawn with its activations.
async function framesPerSecond(page, name, seconds) {
  await page.open("watch");
  await page.choose(name);
  const watch = page.modes.watch;
  watch.setPaused(true);
  let frames = 0;
  const started = performance.now();
  while (performance.now() - started < 1000 * seconds) {
    await watch.step();
    frames += 1;
  }
  const rate = (1000 * frames) / (performance.now() - started);
  watch.setPaused(false);
  return rate;
}

// Let a new worker learn for some seconds. Return the curve: [steps, mean return of the last 100 episodes].
async function learn(page, seconds) {
  const mode = page.modes.learn;
  await page.open("learn");
  await mode.reset();
  mode.start();
  await pause(1000 * seconds);
  mode.stop();
  return mode.points;
}

async function start() {
  const client = new Client(({ stage, text }) => {
    find("progress").value = stage + 0.5;
    show("stage", `${text} (${stage + 1} of 4)`);
  });
  const agents = await client.ready;
  [find("start").hidden, find("app").hidden] = [true, false];
  const page = new Page(client, agents);
  await page.choose(page.names[0]);
  await page.open("watch");
  return {
    page,
    agents: page.names,
    evaluate: async (game, episodes) => mean(await evaluate(client, game, episodes)),
    learn: (seconds) => learn(page, seconds),
    framesPerSecond: (game, seconds = 3) => framesPerSecond(page, game, seconds),
  };
}

window.demo = {};
window.demo.ready = start().then(
  (api) => Object.assign(window.demo, api) && true,
  (error) => {
    show("stage", `The page could not start: ${error.message}`);
    find("stage").className = "failed";
    find("progress").hidden = true;
    return false;
  },
);
