// Play: a person and an agent play the same game side by side.

import { drawGame } from "./draw.js";
import { GAMES, KEYS } from "./games.js";
import { find, make, pause, percent, score, show, showLegend, slider } from "./parts.js";

const ARROWS = { left: "\u2190", right: "\u2192", up: "\u2191", down: "\u2193", fire: "fire" };

export class Play {
  constructor(client, agents) {
    [this.client, this.agents] = [client, agents];
    this.active = this.going = false;
    this.run = 0;
    this.seed = 100;
    this.held = [];
    this.tapped = null;
    this.won = { you: 0, agent: 0 };
    this.speed = slider("play-speed", (rate) => `${rate} steps/s`);
    this.epsilon = slider("play-epsilon", percent, (value) => value / 100);
    addEventListener("keydown", (event) => this.onKey(event, true));
    addEventListener("keyup", (event) => this.onKey(event, false));
    addEventListener("blur", () => (this.held = []));
  }

  async begin(name) {
    const run = ++this.run;
    [this.name, this.game, this.agent] = [name, GAMES[name], this.agents[name]];
    this.views = {};
    [this.going, this.over, this.held, this.tapped, this.last] = [false, false, [], null, 0];
    find("play-speed").value = this.game.rate;
    find("play-speed").dispatchEvent(new Event("input"));
    show("play-how", `${this.game.how} The agent plays the same game beside you.`);
    showLegend("play-legend", this.game);
    this.layPad();
    this.seed += 1;
    const views = await Promise.all(
      ["you", "agent"].map((slot) => this.client.ask("begin", { slot, agent: name, seed: this.seed })),
    );
    if (run !== this.run) return;
    this.draw(...views);
    show("play-state", `Press ${this.keyNames()} or touch a key below to begin.`);
  }

  keyNames() {
    const names = Object.keys(this.game.keys).map((key) => (key === "fire" ? "the space bar" : ARROWS[key]));
    return names.join(" ");
  }

  layPad() {
    const buttons = Object.keys(this.game.keys).map((key) => {
      const button = make("button", ARROWS[key]);
      button.setAttribute("aria-label", key);
      button.onpointerdown = (event) => {
        event.preventDefault();
        button.setPointerCapture(event.pointerId);
        button.classList.add("held");
        this.press(key);
      };
      button.onpointerup = button.onpointercancel = () => {
        button.classList.remove("held");
        this.release(key);
      };
      // Enter and the space bar on a button that has the focus.
      button.onclick = (event) => event.detail === 0 && (this.press(key), this.release(key));
      return button;
    });
    find("play-pad").replaceChildren(...buttons);
  }

  onKey(event, down) {
    const onControl = event.target.closest?.("input, button, a, [role=tab], [role=radio]");
    const key = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!this.active || onControl || event.ctrlKey || event.metaKey || event.altKey) return;
    if (down && event.key === "Enter" && this.over) this.begin(this.name);
    if (!(key in this.game.keys)) return;
    event.preventDefault();
    if (down && !event.repeat) this.press(key);
    else if (!down) this.release(key);
  }

  // A key goes down. The newest one counts, and one that is up again before the next step counts once.
  press(key) {
    if (this.over) {
      if (performance.now() - this.overAt > 700) this.begin(this.name);
      return;
    }
    this.tapped = key;
    this.held = [...this.held.filter((other) => other !== key), key];
    if (!this.going) this.loop();
  }

  release(key) {
    this.held = this.held.filter((other) => other !== key);
  }

  // The action of the next step: of the key that was tapped or is held, else the idle one, else the last one.
  nextAction() {
    const key = this.tapped || this.held.at(-1);
    this.tapped = null;
    const action = key === undefined ? this.game.idle : this.game.keys[key];
    if (action !== null) this.last = action;
    return this.last;
  }

  async loop() {
    const run = this.run;
    this.going = true;
    show("play-state", "");
    while (run === this.run && !this.over) {
      const started = performance.now();
      if (this.active) {
        const views = await Promise.all([
          this.client.ask("step", { slot: "you", action: this.nextAction() }),
          this.client.ask("step", { slot: "agent", epsilon: this.epsilon() }),
        ]);
        if (run !== this.run) return;
        this.draw(...views);
        if (views.every((view) => view.over)) this.end(...views.map((view) => view.score));
      }
      await pause(Math.max(1000 / this.speed() - (performance.now() - started), 4));
    }
  }

  draw(you, agent) {
    this.views = { you, agent };
    this.redraw();
    for (const [slot, view] of Object.entries(this.views)) {
      show(`play-${slot}-score`, score(view.score) + (view.over ? ", over" : ""));
      find(`play-${slot}`).parentElement.classList.toggle("narrow", this.agent.shape[0] > this.agent.shape[1]);
    }
    if (you.over && !agent.over) show("play-state", "Your game is over. The agent still plays.");
    if (agent.over && !you.over) show("play-state", "The agent's game is over. Go on!");
  }

  redraw() {
    for (const [slot, view] of Object.entries(this.views)) {
      drawGame(find(`play-${slot}`), this.game, this.agent.shape, view.obs);
    }
  }

  end(you, agent) {
    [this.over, this.overAt] = [true, performance.now()];
    if (you !== agent) this.won[you > agent ? "you" : "agent"] += 1;
    const result = you === agent ? "A draw" : you > agent ? "You win" : "The agent wins";
    show("play-state", `${result}: you ${score(you)}, agent ${score(agent)}. Press Enter or a key to play again.`);
    show("play-tally", `Games won: you ${this.won.you}, agent ${this.won.agent}.`);
  }
}
