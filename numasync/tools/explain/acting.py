"""The first half of the page: the run so far, and what the worker sees and does."""

from typing import Any

import numpy as np

from numasync.algorithms.policy import EPSILON_GREEDY
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED
from numasync.nn import reference
from numasync.tools.drawing import NAMES
from numasync.tools.explain import equations
from numasync.tools.explain.content import Picture, Section, Table, cells, show
from numasync.tools.explain.numbers import Numbers
from numasync.tools.pictures import draw_observation

ENDS = {RUNNING: "running", TERMINATED: "terminated", TRUNCATED: "truncated", LIFE_LOST: "life lost"}
# A vector with more numbers is shown as a summary.
MOST_NUMBERS = 8


def title_of(numbers: Numbers) -> str:
    """Return the title of the page."""
    return f"One segment of {NAMES.get(numbers.config.algo, numbers.config.algo)} on {numbers.config.env}"


def acting_theta(numbers: Numbers) -> str:
    """Return the symbol of the parameters that act."""
    return "theta'" if numbers.settings.local_copy else "theta"


def show_run(numbers: Numbers) -> Section:
    """Return the section about the run so far: what the numbers below depend on."""
    config, start, net = numbers.config, numbers.start, numbers.network
    explores = numbers.algorithm.policy == EPSILON_GREEDY
    rows = [
        ["T", "steps so far", show(start.T), "steps before this segment"],
        ["t_max", "t_max", show(config.t_max), "most steps of a segment"],
        ["gamma", "gamma", show(config.gamma), "discount of a reward, per step"],
        ["eta", "lr", show(numbers.lr), "learning rate now"],
        ["alpha", "rms_decay", show(config.rms_decay), "part of g (or m) that stays"],
        ["epsilon", "rms_eps", show(config.rms_eps), "constant inside RMSProp's root"],
        ["", "clip_norm", show(config.clip_norm), "largest gradient norm; 0: no limit"],
    ]
    if explores:
        rows.insert(3, ["epsilon", "epsilon", show(start.epsilon), "probability of a random action now"])
        rows.append(["I_target", "target_interval", show(config.target_interval), "steps between copies to theta-"])
    else:
        rows.insert(3, ["beta", "beta", show(config.beta), "weight of the entropy bonus"])
    if config.optimizer == "momentum_sgd":
        rows = [row for row in rows if row[1] != "rms_eps"]
    layers = ", ".join(f"{name} {tuple(view.shape)}" for name, view in weights_of(numbers))
    words = [
        f"A training with seed {config.seed} has made {start.T:,} steps. The next segment of worker 0 is below: a few "
        "steps in the environment, and the one update of the parameters that is learned from them. Every number comes "
        "from the kernels that train. nn/reference.py computes each number too, in plain NumPy and float64. The "
        "largest difference stands below each section. What is allowed is what rounding in float32 explains.",
        f"The network has {net.n_inputs:,} inputs, {net.n_outputs} outputs and {net.n_parameters:,} parameters. All "
        f"parameters together are theta, one vector. The weights are: {layers}.",
    ]
    return Section(
        1, "The run so far", words, tables=[Table(["paper", "option", "value", "meaning"], rows, left=(0, 1, 3))]
    )


def weights_of(numbers: Numbers) -> list[tuple[str, np.ndarray]]:
    """Return the names of the layers with parameters, and their weights."""
    views = numbers.network.views(numbers.start.theta)
    return [(name.removesuffix(".weight"), view) for name, view in views.items() if name.endswith(".weight")]


def show_acting(numbers: Numbers) -> Section:
    """Return the section about what the worker sees and does."""
    theta = acting_theta(numbers)
    whose = (
        "theta', a copy of theta that it makes when a segment begins"
        if theta == "theta'"
        else "the shared theta itself"
    )
    words = [
        f"The worker acts with {whose}. For each state s_i the network computes its outputs, and the policy picks an "
        "action a_i from them. The environment answers with a reward r_i, the next state s_{i+1}, and how the step "
        "ends.",
        how_to_act(numbers),
        why_it_ends(numbers),
    ]
    tables = [outputs_table(numbers), *policy_tables(numbers), steps_table(numbers)]
    observations, pictures = show_observations(numbers)
    if numbers.start.states:
        norms = ", ".join(f"|h| = {show(length(h))} and |c| = {show(length(c))}" for h, c in numbers.start.states)
        words.append(f"The LSTM begins with the hidden state that the segment before has left: {norms}.")
    forward = equations.of_layers(numbers.network.kinds, 0)
    return Section(2, "The worker acts", words, forward, [*observations, *tables], pictures)


def length(vector: np.ndarray) -> float:
    """Return the L2 norm of a vector."""
    return float(np.sqrt(np.square(vector, dtype=np.float64).sum()))


def how_to_act(numbers: Numbers) -> str:
    """Return how the policy picks an action."""
    if numbers.algorithm.policy == EPSILON_GREEDY:
        text = "An action is random with probability epsilon, else it is greedy: the action with the highest Q value."
        return f"{text} The segment before has chosen a_0 already." if numbers.start.planned else text
    if numbers.spec.continuous:
        return (
            "An action is drawn from a Gaussian with the mean mu and the variance sigma^2, which all its numbers have. "
            "The environment gets it in its own units, and clipped to its bounds."
        )
    if numbers.spec.nvec:
        return "Each integer of an action is drawn from the softmax of its own logits."
    return "An action is drawn from pi, the softmax of the logits."


def why_it_ends(numbers: Numbers) -> str:
    """Return why the segment ends, and what that means for the bootstrap."""
    n = numbers.n
    if numbers.end == TERMINATED:
        return f"The segment ends after {steps(n)} because s_{n} is terminal. No reward can follow: its value is 0."
    if numbers.end == TRUNCATED:
        return f"The segment ends after {steps(n)} because of a time limit. s_{n} is not terminal, and has a value."
    if numbers.end == LIFE_LOST:
        return f"The segment ends after {steps(n)} because a life is lost. The learner takes s_{n} as terminal."
    if n < numbers.config.t_max:
        why = f"because the worker's own steps have reached a multiple of t_max = {numbers.config.t_max}"
        return f"The segment ends after {steps(n)}, {why}. The episode goes on, and s_{n} has a value."
    return f"The segment ends after {steps(n)}, which is t_max. The episode goes on, and s_{n} has a value."


def steps(n: int) -> str:
    """Return a number of steps in words."""
    return f"{n} step{'s' * (n != 1)}"


def steps_table(numbers: Numbers) -> Table:
    """Return a row for each step: action, reward and end."""
    clipped = [np.float32(step.reward) != r for step, r in zip(numbers.steps, numbers.rewards)]
    header, rows = ["i", "a_i", how_header(numbers), "r_i"], []
    for i, step in enumerate(numbers.steps):
        rows.append([str(i), show_action(step.action), show_how(numbers, i), show(step.reward)])
        if any(clipped):
            rows[-1].append(show(numbers.rewards[i]))
        rows[-1].append(ENDS[step.end])
    header += ["r_i clipped"] * any(clipped) + ["end"]
    caption = "Actions and rewards. The learner takes the clipped reward." if any(clipped) else "Actions and rewards."
    return Table(header, rows, caption, left=(2, len(header) - 1))


def show_action(action: Any) -> str:
    """Return an action as text."""
    return " ".join(cells(action)) if isinstance(action, np.ndarray) else str(action)


def how_header(numbers: Numbers) -> str:
    """Return the name of the column that says how an action was picked."""
    if numbers.algorithm.policy == EPSILON_GREEDY:
        return "picked"
    return "u_i drawn" if numbers.spec.continuous else "pi(a_i | s_i)"


def show_how(numbers: Numbers, i: int) -> str:
    """Return how action i was picked."""
    outputs, action = numbers.outputs[i], numbers.actions[i]
    if numbers.algorithm.policy == EPSILON_GREEDY:
        if i == 0 and numbers.start.planned:
            return "before"
        return "greedy" if action == outputs.argmax() else "random"
    if numbers.spec.continuous:
        return " ".join(cells(action))
    if numbers.spec.nvec:
        parts = np.split(outputs[:-1], np.cumsum(numbers.spec.nvec)[:-1])
        return show(np.prod([reference.softmax(logits)[a] for logits, a in zip(parts, action)]))
    return show(reference.softmax(outputs[:-1])[action])


def outputs_table(numbers: Numbers) -> Table:
    """Return a row for each step: the network's outputs, and the variance of a Gaussian policy."""
    outputs, theta = numbers.outputs, acting_theta(numbers)
    names, columns = output_names(numbers), [*outputs.T]
    if numbers.spec.continuous:
        names, columns = [*names, "sigma^2"], [*columns, reference.gaussian_variance(outputs[:, -2])]
    rows = [[str(i), *cells(column[i] for column in columns)] for i in range(numbers.n)]
    return Table(["i", *names], rows, f"The outputs of the network for s_i with {theta}.", left=())


def policy_tables(numbers: Numbers) -> list[Table]:
    """Return the policy and its entropy for each step, where it is one softmax."""
    if not numbers.algorithm.other_heads or numbers.spec.continuous or numbers.spec.nvec:
        return []
    logits = numbers.outputs[:, :-1]
    pi, H = reference.softmax(logits), reference.entropy(logits)
    rows = [[str(i), *cells((*pi[i], H[i]))] for i in range(numbers.n)]
    header = ["i", *(f"pi({a} | s_i)" for a in range(numbers.spec.n_actions)), "H"]
    return [Table(header, rows, "The policy, which is the softmax of the logits, and its entropy.", left=())]


def output_names(numbers: Numbers) -> list[str]:
    """Return the names of the network's outputs."""
    spec = numbers.spec
    if spec.continuous:
        return [*(f"mu_{j}" for j in range(spec.n_actions)), "x", "V"]
    if spec.nvec:
        return [*(f"logit_{j},{m}" for j, size in enumerate(spec.nvec) for m in range(size)), "V"]
    if numbers.algorithm.other_heads:
        return [*(f"logit_{a}" for a in range(spec.n_actions)), "V"]
    return [f"Q(s,{a})" for a in range(spec.n_actions)]


def show_observations(numbers: Numbers) -> tuple[list[Table], list[Picture]]:
    """Return tables and pictures of s_0 .. s_n."""
    observation, obs = numbers.spec.observation, numbers.obs
    pictures = []
    if observation.is_image:
        pictures = [Picture(f"s_{i}", draw_observation(one, observation)) for i, one in enumerate(obs)]
    if obs.shape[1] <= MOST_NUMBERS:
        names = [f"s_i[{j}]" for j in range(obs.shape[1])]
        rows = [[str(i), *cells(one)] for i, one in enumerate(obs)]
        return [Table(["i", *names], rows, "The observations, as the network gets them.", left=())], pictures
    shape = " x ".join(map(str, observation.network_shape))
    rows = [[str(i), *cells((int((s != 0).sum()), s.min(), s.mean(), s.max()))] for i, s in enumerate(obs)]
    caption = f"The observations, {shape} numbers each, as the network gets them."
    return [Table(["i", "not 0", "lowest", "mean", "highest"], rows, caption, left=())], pictures
