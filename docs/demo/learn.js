// Learn: a worker of n-step Q-learning learns Catch, and the page draws how it gets better.

import { drawCurve, drawGame, drawWeights } from "./draw.js";
import { GAMES } from "./games.js";
import { Bars, find, pause, score, show, slider } from "./parts.js";

const CHUNK = 0.05; // seconds of learning between two looks at the page
const STEP_EVERY = 150; // milliseconds between two steps of the game that is shown
const MOST_POINTS = 600;

export class Learn {
  constructor(client) {
    this.client = client;
    this.active = this.going = false;
    this.seed = this.run = 0;
    this.bars = new Bars("learn-outputs", GAMES.catch.actions, false);
    this.lr = slider("learn-lr", (lr) => lr.toPrecision(2), (power) => 10 ** power);
    find("learn-start").onclick = () => (this.going ? this.stop() : this.start());
    find("learn-reset").onclick = () => this.reset();
  }

  // Begin anew: another seed, new parameters, an empty curve.
  async reset() {
    this.stop();
    [this.points, this.steps, this.stepAt] = [[], 0, 0];
    this.agent = await this.client.ask("learner", { lr: this.lr(), seed: ++this.seed });
    show("learn-state", `Seed ${this.seed}. Press Start.`);
    this.showNumbers({ steps: 0, episodes: 0, mean: 0, epsilon: 1 });
    show("learn-rate", "-");
    await this.stepGame();
    const { weights } = await this.learn(0);
    this.draw(weights);
  }

  stop() {
    this.going = false;
    show("learn-start", "Start");
    if (this.steps) show("learn-state", "Stopped.");
  }

  start() {
    this.going = true;
    show("learn-start", "Stop");
    show("learn-state", `Learning, seed ${this.seed} ...`);
    this.loop(++this.run);
  }

  learn(seconds) {
    return this.client.ask("learn", { seconds, lr: this.lr() });
  }

  async loop(run) {
    const current = () => this.going && run === this.run;
    let [before, since] = [this.steps, performance.now()];
    while (current()) {
      if (!this.active) {
        await pause(200);
        continue;
      }
      const progress = await this.learn(CHUNK);
      if (!current()) return;
      if (progress.error) {
        this.stop();
        show("learn-state", `${progress.error} Press Reset.`);
        return;
      }
      this.note(progress);
      await this.stepGame();
      this.draw(progress.weights);
      const now = performance.now();
      if (now - since > 1000) {
        show("learn-rate", Math.round((1000 * (this.steps - before)) / (now - since)));
        [before, since] = [this.steps, now];
      }
    }
  }

  note(progress) {
    this.steps = progress.steps;
    if (progress.episodes > 10) this.points.push([progress.steps, progress.mean]);
    if (this.points.length > MOST_POINTS) this.points = this.points.filter((_, i) => i % 2 === 0);
    this.showNumbers(progress);
  }

  showNumbers({ steps, episodes, mean, epsilon }) {
    show("learn-steps", steps.toLocaleString("en"));
    show("learn-episodes", episodes.toLocaleString("en"));
    show("learn-mean", episodes ? score(mean) : "-");
    show("learn-epsilon", epsilon.toFixed(2));
  }

  // Let the newest network play a step, a few times a second.
  async stepGame() {
    if (performance.now() - this.stepAt < STEP_EVERY) return;
    this.stepAt = performance.now();
    const view = await this.client.ask("step", { slot: "learner", restart: true });
    drawGame(find("learn-board"), GAMES.catch, this.agent.shape, view.obs);
    this.bars.draw(view.outputs, view.action);
  }

  draw(weights) {
    this.weights = weights;
    this.redraw();
  }

  redraw() {
    if (!this.weights) return;
    drawCurve(find("learn-curve"), this.points, this.steps);
    drawWeights(find("learn-weights"), this.agent.shape, this.weights);
  }
}
