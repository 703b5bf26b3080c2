// Watch: an agent plays. The page shows what its network computes, and scores it.

import { drawGame, drawLayer } from "./draw.js";
import { GAMES } from "./games.js";
import { Bars, find, make, mean, nextFrame, pause, percent, score, show, showLegend, slider } from "./parts.js";

const EPISODES = 20;
const SEED = 1;
const FASTEST = 61; // the top of the slider: no pause between two steps

export class Watch {
  constructor(client, agents) {
    [this.client, this.agents] = [client, agents];
    this.active = this.paused = this.scoring = false;
    this.run = this.evaluation = 0;
    this.seed = SEED;
    this.speed = slider("watch-speed", (rate) => (rate >= FASTEST ? "as fast as possible" : `${rate} steps/s`));
    this.epsilon = slider("watch-epsilon", percent, (value) => value / 100);
    find("watch-pause").onclick = () => this.setPaused(!this.paused);
    find("watch-one").onclick = () => this.setPaused(true) || this.step();
    find("watch-new").onclick = () => this.begin(this.name);
    find("watch-evaluate").onclick = () => this.score();
  }

  setPaused(paused) {
    this.paused = paused;
    show("watch-pause", paused ? "Go on" : "Pause");
  }

  // Whether the game goes on. It waits while 20 episodes are played.
  get plays() {
    return this.active && !this.paused && !this.scoring;
  }

  async begin(name) {
    const [game, agent] = [GAMES[name], this.agents[name]];
    if (name !== this.name) this.evaluation += 1;
    [this.name, this.game, this.agent] = [name, game, agent];
    this.episodes = [];
    this.lay();
    await this.open();
  }

  // Put what belongs to the agent on the page.
  lay() {
    const { name, game, agent } = this;
    const isPolicy = agent.algo === "a3c";
    this.view = null;
    show("watch-title", game.title);
    const by = `${isPolicy ? "A3C" : "n-step Q"}, ${(agent.steps / 1e6).toLocaleString("en")} million steps of training`;
    show("watch-agent", `${by}, ${agent.parameters.toLocaleString("en")} parameters.`);
    show("watch-command", `numasync eval docs/demo/agents/${name}.npz --episodes ${EPISODES} --seed ${SEED}`);
    show("watch-outputs-title", isPolicy ? "Policy: probability of each action" : "Q value of each action (bars: from the lowest to the highest)");
    this.bars = new Bars("watch-outputs", game.actions, isPolicy);
    find("watch-scores").replaceChildren();
    showLegend("watch-legend", game);
    find("watch-board").parentElement.classList.toggle("narrow", agent.shape[0] > agent.shape[1]);
    this.layers = agent.layers.map(({ name: layer, shape }) => {
      const is = shape.length === 3 ? `${shape[2]} filters, ${shape[0]} x ${shape[1]} each` : `${shape[0]} units`;
      const [title, canvas] = [make("h3", `${layer} `), make("canvas")];
      title.append(make("span", `${is}, after the relu`));
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Activations of ${layer}`);
      return { title, canvas, shape };
    });
    find("watch-layers").replaceChildren(...this.layers.flatMap(({ title, canvas }) => [title, canvas]));
  }

  async open() {
    const run = ++this.run;
    this.draw(await this.client.ask("begin", { slot: "watch", agent: this.name, seed: this.seed++ }));
    this.loop(run);
  }

  async loop(run) {
    let [frames, since] = [0, performance.now()];
    while (run === this.run) {
      const started = performance.now();
      if (this.plays) {
        await this.step();
        frames += 1;
      }
      const now = performance.now();
      if (now - since > 1000) {
        show("watch-fps", this.plays ? Math.round((1000 * frames) / (now - since)) : "-");
        [frames, since] = [0, now];
      }
      const rate = this.speed();
      if (rate >= FASTEST && this.plays) await nextFrame();
      else await pause(Math.max(1000 / rate - (now - started), 4));
    }
  }

  async step() {
    const args = { slot: "watch", epsilon: this.epsilon(), restart: true };
    const name = this.name;
    const view = await this.client.ask("step", args);
    if (name === this.name) this.draw(view);
  }

  draw(view) {
    this.view = view;
    this.redraw();
    if (view.over) this.episodes.push(view.score);
    show("watch-score", score(view.score));
    if (this.episodes.length) show("watch-last", score(this.episodes.at(-1)));
    else show("watch-last", "-");
    show("watch-episodes", this.episodes.length);
    show("watch-mean", this.episodes.length ? score(mean(this.episodes)) : "-");
  }

  redraw() {
    if (!this.view) return;
    drawGame(find("watch-board"), this.game, this.agent.shape, this.view.obs);
    this.bars.draw(this.view.outputs, this.view.action);
    this.layers.forEach(({ canvas, shape }, i) => drawLayer(canvas, shape, this.view.layers[i]));
  }

  // Play EPISODES episodes and show their scores. Another game ends it.
  async score() {
    const [evaluation, button] = [++this.evaluation, find("watch-evaluate")];
    this.scoring = button.disabled = true;
    const current = () => evaluation === this.evaluation;
    try {
      await evaluate(this.client, this.name, EPISODES, SEED, (scores) => current() && this.showScores(scores), current);
    } finally {
      this.scoring = button.disabled = false;
    }
  }

  showScores(scores) {
    const [dots, top] = [make("div", "", "dots"), Math.max(...scores, 1)];
    for (const value of scores) {
      const bar = make("i");
      bar.style.height = `${100 * Math.max(value / top, 0.04)}%`;
      bar.title = score(value);
      dots.append(bar);
    }
    const done = scores.length === EPISODES;
    const text = done ? `Mean of ${EPISODES} episodes: ${score(mean(scores))}.` : `${scores.length} of ${EPISODES} ...`;
    const range = done ? ` From ${score(Math.min(...scores))} to ${score(Math.max(...scores))}.` : "";
    find("watch-scores").replaceChildren(dots, make("div", text + range));
  }
}

// Return the scores of some episodes. onScores gets the scores so far; goesOn says whether to play the next episode.
export async function evaluate(client, agent, episodes, seed = SEED, onScores = () => {}, goesOn = () => true) {
  let { scores, done } = await client.ask("evaluate", { agent, episodes, seed });
  while (!done && goesOn()) {
    ({ scores, done } = await client.ask("score"));
    onScores(scores);
  }
  return scores;
}
