// What the page knows of each game: its title, actions, keys and colours. Python knows the rest.

// A key gives the number of an action; `idle` is the action without a key, null: the last one again.
// colours: a CSS variable for each channel of the observation, null for a channel that is not drawn. bottom: the same
// for the row at the bottom, where the paddle has no channel of its own.
export const GAMES = {
  breakout: {
    title: "Breakout",
    actions: ["stay", "left", "right"],
    keys: { left: 1, right: 2 },
    idle: 0,
    rate: 9,
    colours: ["--c1", "--c2", "--c3", "--c4"],
    legend: ["paddle", "ball", "its trail", "brick"],
    how: "Keep the ball in play. Each brick is a point.",
  },
  space_invaders: {
    title: "Space Invaders",
    actions: ["stay", "left", "right", "fire"],
    keys: { left: 1, right: 2, fire: 3 },
    idle: 0,
    rate: 9,
    colours: ["--c1", "--c5", null, null, "--c2", "--c4"],
    legend: ["cannon", "alien", null, null, "your shot", "bomb"],
    how: "Shoot the aliens, dodge their bombs. Each alien is a point.",
  },
  asterix: {
    title: "Asterix",
    actions: ["stay", "left", "up", "right", "down"],
    keys: { left: 1, up: 2, right: 3, down: 4 },
    idle: 0,
    rate: 9,
    colours: ["--c1", "--c4", "--c3", "--c2"],
    legend: ["you", "enemy", "trail", "gold"],
    how: "Collect gold, avoid enemies. Each piece of gold is a point.",
  },
  cartpole: {
    title: "CartPole",
    actions: ["left", "right"],
    keys: { left: 0, right: 1 },
    idle: null,
    rate: 25,
    how: "Keep the pole upright and the cart on the track. The cart is always pushed: the last key counts. Each step is a point, up to 500.",
  },
  catch: {
    title: "Catch",
    actions: ["left", "stay", "right"],
    keys: { left: 0, right: 2 },
    idle: 1,
    rate: 5,
    colours: ["--c2"],
    bottom: "--c1",
    legend: ["ball"],
    how: "Bring the paddle under the ball: +1 for a catch, -1 for a miss.",
  },
};

// The keys of a keyboard, by the name that `keys` uses.
export const KEYS = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
  a: "left",
  d: "right",
  w: "up",
  s: "down",
  " ": "fire",
};
