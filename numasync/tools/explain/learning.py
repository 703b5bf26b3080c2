"""The second half of the page: what is learned from the segment, from the bootstrap to the new theta."""

import numpy as np

from numasync.nn import reference
from numasync.tools.explain import equations
from numasync.tools.explain.acting import acting_theta, length, output_names
from numasync.tools.explain.check import next_values, targets_of
from numasync.tools.explain.content import Section, Table, cells, show
from numasync.tools.explain.numbers import Numbers

# How many weights of a layer are followed through the update.
FOLLOWED = 2


def show_targets(numbers: Numbers) -> Section:
    """Return the section about the bootstrap and the targets, or the returns."""
    n, gamma = numbers.n, numbers.config.gamma
    whose = "theta-, the target network" if numbers.settings.target_network else f"{acting_theta(numbers)}"
    R, values = targets_of(numbers), next_values(numbers, numbers.bootstrap)
    one_step = numbers.settings.one_step
    words = [target_words(numbers, whose)]
    tables = [bootstrap_table(numbers, whose)] if numbers.first < numbers.last else []
    following = np.append(R[1:], values[-1]) if not one_step else values
    if numbers.algorithm.other_heads:
        own, names = numbers.outputs[:, -1], ["R_i", "V(s_i)", "A_i = R_i - V(s_i)"]
    else:
        own = numbers.outputs[np.arange(n), numbers.actions[:n]]
        names = ["y_i", "Q(s_i,a_i)", "y_i - Q(s_i,a_i)"] if one_step else ["R_i", "Q(s_i,a_i)", "R_i - Q(s_i,a_i)"]
    later = "gamma v_{i+1}" if one_step else "gamma R_{i+1}"
    columns = (numbers.rewards, gamma * following, R, own, R - own)
    rows = [[str(i), *cells((column[i] for column in columns), 6)] for i in range(n)]
    if not one_step:
        rows = rows[::-1]
    caption = "From the targets to the differences." if one_step else "The returns, from the last step to the first."
    tables.append(Table(["i", "r_i", later, *names], rows, caption, left=(), signed=(5,)))
    return Section(
        3,
        "The targets" if one_step else "The returns",
        words,
        equations.of_algorithm(numbers.algorithm.kernel)[0],
        tables,
    )


def target_words(numbers: Numbers, whose: str) -> str:
    """Return where the bootstrap comes from."""
    n = numbers.n
    if numbers.settings.one_step:
        which = "of the action that is executed there" if numbers.settings.next_action else "that is the highest"
        text = f"Each step has a target of its own. In it, v_{{i+1}} is the Q value of s_{{i+1}} {which}, by {whose}."
        return f"{text} s_{n} is terminal, so that v_{n} is 0." if numbers.terminated else text
    value = "V" if numbers.algorithm.other_heads else "the highest Q value"
    if numbers.terminated:
        return f"Returns are summed from the last step to the first. s_{n} is terminal, so that R_{n} = 0."
    text = "Returns are summed from the last step to the first. They begin with"
    return f"{text} R_{n}, {value} of s_{n}, by {whose}, because s_{n} is not terminal."


def bootstrap_table(numbers: Numbers, whose: str) -> Table:
    """Return the outputs that the bootstrap reads."""
    rows = [[str(i), *cells(numbers.bootstrap[i])] for i in range(numbers.first, numbers.last)]
    return Table(["i", *output_names(numbers)], rows, f"The outputs for s_i with {whose}.", left=())


def show_loss(numbers: Numbers) -> Section:
    """Return the section about the loss and its gradient by the outputs."""
    words = [
        f"The loss is a sum over the steps: {show(numbers.loss, 6)}. Its gradient says how it changes with each output "
        "of the network: a positive number means that a smaller output makes the loss smaller. Targets and returns are "
        "constants here. No gradient flows through them.",
    ]
    if not numbers.algorithm.other_heads and not numbers.settings.one_step:
        words.append("Here y_i is R_i.")
    held = not np.array_equal(numbers.d_outputs, numbers.d_held)
    if held:
        words.append("A mean beyond the bounds of its action is not pushed further out: its gradient is cleared.")
    header = ["i", *(f"d {name}" for name in output_names(numbers))]
    rows = [[str(i), *cells(row)] for i, row in enumerate(numbers.d_held)]
    table = Table(header, rows, "d(loss)/d(outputs) for each step.", left=(), signed=range(1, len(header)))
    return Section(4, "The loss", words, equations.of_algorithm(numbers.algorithm.kernel)[1], [table])


def show_backward(numbers: Numbers) -> Section:
    """Return the section about the gradient of each layer, its norm and how it is clipped."""
    net, clip_norm = numbers.network, numbers.config.clip_norm
    views = net.views(numbers.grad)
    rows = []
    for name in net.names:
        if f"{name}.weight" in views:
            weight, bias = views[f"{name}.weight"], views[f"{name}.bias"]
            norms = [length(weight), length(bias)]
            zeros = (weight == 0).mean()
            rows.append([name, f"{weight.size + bias.size:,}", *cells(norms), f"{100 * zeros:.0f} %"])
    scale = "no clip: clip_norm is 0" if clip_norm == 0 else f"min(1, {show(clip_norm)} / {show(numbers.grad_norm, 6)})"
    words = [
        "Backward goes through the layers from the outputs to the inputs. The dx of a layer is the dy of the layer "
        "before it. The steps of the segment are one batch, and their gradients are summed.",
        f"The L2 norm over all parameters is {show(numbers.grad_norm, 6)}. The factor that clips it is "
        f"{show(numbers.scale, 6)} ({scale}).",
    ]
    header = ["layer", "parameters", "|dW|", "|db|", "dW that is 0"]
    table = Table(header, rows, "The L2 norm of the gradient of each layer.")
    shown = [
        *equations.of_layers(reversed(net.kinds), 1),
        "scale = " + equations.of(reference.clip_scale).partition(", the")[0],
    ]
    return Section(5, "Backward", words, shown, [table])


def show_update(numbers: Numbers) -> Section:
    """Return the section about the update of theta, with a few parameters by name."""
    config, theta = numbers.config, numbers.start.theta
    momentum = config.optimizer == "momentum_sgd"
    name = "m" if momentum else "g"
    grads, thetas = [], []
    for at, parameter in followed(numbers):
        change = float(numbers.theta_after[at]) - float(theta[at])
        scaled = numbers.scale * numbers.grad[at]
        grads.append([parameter, *cells((numbers.grad[at], scaled, numbers.g[at], numbers.g_after[at]))])
        thetas.append([parameter, show(theta[at], 7), show(change), show(numbers.theta_after[at], 7)])
    tables = [
        Table(["parameter", "gradient", "d = scale gradient", name, f"{name} after"], grads, f"From d to {name}."),
        Table(["parameter", "theta", "change", "theta after"], thetas, f"From {name} to theta."),
    ]
    shared = {"shared_rmsprop": "All workers share g.", "rmsprop": "Each worker has its own g."}
    words = [
        f"Each parameter moves against its gradient. The optimiser is {config.optimizer}. "
        f"{shared.get(config.optimizer, 'It moves on without a gradient, too.')} Of each layer the parameters with the "
        "largest gradients are below.",
        f"{int(numbers.updated.sum()):,} of {theta.size:,} parameters were updated. The others are in blocks without "
        "any gradient. Their g decays later, when they have a gradient again.",
    ]
    if numbers.updated.all():
        words[1] = f"All {theta.size:,} parameters were updated."
    optimise = reference.momentum_sgd if momentum else reference.rmsprop
    return Section(6, "The update", words, [equations.of(optimise)], tables)


def followed(numbers: Numbers) -> list[tuple[int, str]]:
    """Return places in theta and names: of each layer the parameters with the largest gradients."""
    places = numbers.network.views(np.arange(numbers.grad.size))
    found = []
    for name, view in places.items():
        if name.endswith((".weight", ".bias")) and view.size:
            grad = np.abs(numbers.grad[view.ravel()])
            for at in np.argsort(-grad, kind="stable")[: FOLLOWED if name.endswith(".weight") else 1]:
                index = ",".join(map(str, np.unravel_index(at, view.shape)))
                found.append((int(view.ravel()[at]), f"{name}[{index}]"))
    return found
