"""`numasync explain`: its numbers by hand, its checks, its text and its page."""

import base64
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import numasync
from numasync import Agent, InputError, conv, dense, lstm, relu
from numasync.algorithms import ALGORITHMS
from numasync.algorithms.nstep_q import nstep_q
from numasync.cli import main, parser
from numasync.envs.objects import as_env_id
from numasync.learner.optim import OPTIMIZERS
from numasync.nn import reference
from numasync.runtime.jit import FLOAT, kernel
from numasync.tools.explain import equations
from numasync.tools.explain.check import check_all, targets_of
from numasync.tools.explain.numbers import play
from numasync.tools.explain.png import as_png
from numasync.training.train import make_agent

SMALL = (dense(6), relu())
OPTIONS = dict(network=SMALL, after=150, steps=10_000)
VOID = {"meta", "img", "br", "hr", "link", "input"}

every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)


class OneAction(gymnasium.Env):
    """Rewards every step by 1. An episode is as long as `length`, and ends as `terminates` says."""

    observation_space, action_space = spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.Discrete(1)

    def __init__(self, length: int = 9, terminates: bool = True) -> None:
        self.length, self.terminates = length, terminates

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.ones(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        over = self.steps == self.length
        return np.ones(2, np.float32), 1.0, over and self.terminates, over and not self.terminates, {}


class Several(gymnasium.Env):
    """Takes an action of two integers."""

    observation_space, action_space = spaces.Box(-1.0, 1.0, (3,), np.float32), spaces.MultiDiscrete([2, 3])

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.ones(3, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.full(3, np.sin(self.steps), np.float32), float(action.sum()), self.steps == 11, False, {}


def zero_agent(algo, **env_kwargs):
    """An agent whose parameters are all 0, so that every output is 0."""
    options = dict(network=SMALL, t_max=3, gamma=0.5, lr=0.1, rms_decay=0.75, rms_eps=1.0, clip_norm=4.25, beta=0.0)
    options |= dict(workers=1, optimizer="rmsprop", steps=1_000_000_000, epsilon_steps=1)
    agent = make_agent(env=as_env_id(lambda: OneAction(**env_kwargs)), algo=algo, **options)
    return Agent(agent.config, agent.spec, np.zeros_like(agent.theta))


@pytest.mark.parametrize(
    ("algo", "env", "rewards"),
    [
        # All outputs are 0. R_3 = 0, R_2 = 1, R_1 = 1 + 0.5 * 1 = 1.5, R_0 = 1 + 0.5 * 1.5 = 1.75.
        ("nstep_q", dict(length=9), [1.75, 1.5, 1.0]),
        ("nstep_q", dict(length=3, terminates=True), [1.75, 1.5, 1.0]),
        ("nstep_q", dict(length=3, terminates=False), [1.75, 1.5, 1.0]),
        ("a3c", dict(length=9), [1.75, 1.5, 1.0]),
        # y_i = 1 + 0.5 * 0 = 1.
        ("one_step_q", dict(length=9), [1.0, 1.0, 1.0]),
        ("one_step_sarsa", dict(length=9), [1.0, 1.0, 1.0]),
    ],
)
def test_a_segment_by_hand(algo, env, rewards):
    numbers = play(zero_agent(algo, **env), 0, False)
    assert numbers.n == 3 and not numbers.outputs.any()
    np.testing.assert_array_equal(targets_of(numbers), rewards)
    if algo == "a3c":
        # pi of a single action is 1: its gradient is A (1 - 1) = 0. d loss / d V = - R. loss = sum of R^2 / 2.
        assert numbers.loss == (1.75**2 + 1.5**2 + 1) / 2
        np.testing.assert_array_equal(numbers.d_outputs, np.column_stack([np.zeros(3), [-1.75, -1.5, -1.0]]))
        norm = 4.25
    else:
        # The loss is the sum of y^2, its gradient - 2 y.
        assert numbers.loss == sum(y**2 for y in rewards)
        np.testing.assert_array_equal(numbers.d_outputs[:, 0], [-2 * y for y in rewards])
        norm = 2 * sum(rewards)
    # All weights are 0 and so are the hidden units: only the last bias has a gradient, the sum of d_outputs.
    assert numbers.grad_norm == norm and np.count_nonzero(numbers.grad) == 1 and numbers.grad[-1] == -norm
    assert numbers.scale == pytest.approx(min(1, 4.25 / norm))
    # d = scale grad, g = 0.75 * 0 + 0.25 d^2, theta = 0 - 0.1 d / sqrt(g + 1).
    d = min(norm, 4.25)
    assert numbers.g_after[-1] == pytest.approx(0.25 * d * d)
    assert numbers.theta_after[-1] == pytest.approx(0.1 * d / np.sqrt(0.25 * d * d + 1), rel=1e-6)
    assert all(check.passed for check in check_all(numbers))


@pytest.mark.parametrize(
    ("terminates", "said", "returned"),
    [(True, "s_2 is terminal. No reward can follow", "R_2 = 0."), (False, "because of a time limit", "begin with R_2")],
)
def test_the_text_says_how_the_episode_ends_and_what_that_means(terminates, said, returned):
    made = numasync.explain(lambda: OneAction(2, terminates), "nstep_q", episode_end=True, **OPTIONS, t_max=5)
    text = " ".join(made.text.split())
    assert said in text and returned in text
    assert re.search(rf"^ +1 +0 +\w+ +1 +{'terminated' if terminates else 'truncated'}$", made.text, re.M)


@every_algorithm
def test_every_algorithm_agrees_with_the_reference(algo):
    made = numasync.explain("CartPole-v1", algo, **OPTIONS)
    assert made.wrong is None and re.search(r"all 1[34] quantities agree", made.text)
    assert f"One segment of {'A3C' if algo == 'a3c' else ''}" in made.text
    equation = equations.of_algorithm(ALGORITHMS[algo].kernel)[0][0].splitlines()[0]
    assert equation in made.text


@pytest.mark.parametrize(
    ("env", "options"),
    [
        ("Pendulum-v1", {}),
        ("Pendulum-v1", dict(normalize=True, separate_value=True, network=(dense(5), relu(), lstm(3)))),
        (Several, dict(optimizer="momentum_sgd")),
        ("CartPolePositions-v0", dict(network=(dense(5), relu(), lstm(3)), t_max=4)),
        ("CartPolePositions-v0", dict(network=(lstm(3),), algo="one_step_sarsa", workers=2)),
        ("CartPolePositions-v0", dict(network=(lstm(3),), algo="nstep_q", optimizer="rmsprop")),
        ("Catch-v0", dict(network=(conv(3, 3), relu(), dense(5), relu()), algo="one_step_q")),
        ("gymnasium:CartPole-v1", dict(clip_norm=0.0)),
    ],
    ids=str,
)
def test_every_kind_of_action_layer_and_environment_agrees_with_the_reference(env, options):
    made = numasync.explain(env, **{"algo": "a3c", **OPTIONS, **options})
    assert made.wrong is None
    assert max(map(len, made.text.splitlines())) <= 80


@kernel
def doubled(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta):
    """n-step Q-learning whose gradient is twice as large."""
    loss = nstep_q(d_outputs, outputs, bootstrap, actions, rewards, action_map, n, terminated, gamma, beta)
    for i in range(n):
        for j in range(d_outputs.shape[1]):
            d_outputs[i, j] *= FLOAT(2)
    return loss


@kernel
def forgetful(theta, grad, g, lr, decay, rms_eps, scale):
    """RMSProp that forgets to add to g."""
    for i in range(theta.size):
        theta[i] -= lr * scale * grad[i] / np.sqrt(g[i] + rms_eps)
        grad[i] = FLOAT(0)


def test_a_wrong_algorithm_is_named_and_fails_the_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(ALGORITHMS, "nstep_q", ALGORITHMS["nstep_q"]._replace(kernel=doubled))
    words = f"explain --algo nstep_q --after 20 --steps 1000 --html {tmp_path / 'wrong.html'}"
    assert main(words.split()) == 1
    out, err = capsys.readouterr()
    sentence = r"numasync: The kernels differ from nn/reference\.py in the returns: by \S+, where rounding explains"
    assert re.fullmatch(rf"{sentence} \S+, and 1 more\.\n", err)
    assert re.search(r"d\(loss\)/d\(outputs\) +\S+ +\S+ +WRONG$", out, re.M) and "2 of 14 quantities differ" in out
    assert (tmp_path / "wrong.html").read_text().count("✗") == 2


def test_a_wrong_optimiser_is_named(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "rmsprop", OPTIMIZERS["rmsprop"]._replace(kernel=forgetful))
    wrong = numasync.explain("CartPole-v1", "a3c", optimizer="rmsprop", **OPTIONS).wrong
    assert "in g after the update" in wrong and "and 1 more" in wrong


@pytest.mark.parametrize(
    ("function", "quantity"),
    [("dense", "the outputs of dense1, relu"), ("dense_backward", "the gradient of dense1.weight")],
)
def test_a_layer_that_differs_is_named(monkeypatch, function, quantity):
    right = getattr(reference, function)

    def wrong(*arguments):
        y = right(*arguments)
        return y * 1.001 if function == "dense" else tuple(1.001 * gradient for gradient in y)

    monkeypatch.setattr(reference, function, wrong)
    assert f"in {quantity}: " in numasync.explain("CartPole-v1", "nstep_q", **OPTIONS).wrong


def test_a_number_that_is_not_finite_does_not_pass():
    numbers = play(zero_agent("nstep_q"), 0, False)
    numbers.d_outputs[0, 0] = np.nan
    assert not all(check.passed for check in check_all(numbers))


class Page(HTMLParser):
    """Reads a page: which tags are open, what they load, and the words."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loaded, self.tags, self.words = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loaded += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def pixels(url):
    """The picture in a data URL: uint8 (height, width, 3)."""
    content = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    begin = content.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(content[begin : content.index(b"IEND") - 8]), np.uint8)
    return rows.reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3)


def test_the_page_is_well_formed_and_loads_nothing(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("an older page")
    network = (conv(3, 3), relu(), dense(5), relu())
    made = numasync.explain("Catch-v0", "a3c", html=path, **{**OPTIONS, "network": network})
    assert path.read_text() == made.page
    page = Page(made.page)
    assert page.open == [] and not {"script", "link", "iframe"} & set(page.tags)
    sections = [f"#s{i}" for i in range(1, 7)]
    pictures = page.loaded[6:]
    assert page.loaded[:6] == sections and len(pictures) >= 4
    assert not re.search(r"https?:|url\(|@import", made.page)
    assert 'name="viewport"' in made.page and "prefers-color-scheme: dark" in made.page
    first = pixels(pictures[0])
    assert first.shape == (120, 60, 3)  # 10 x 5 cells of 12 pixels
    # The ball and the paddle have a colour, 12 x 12 pixels each.
    assert (first.max(axis=2) > 0).sum() == 2 * 12 * 12


def test_the_page_has_every_number_of_the_text():
    made = numasync.explain("CartPole-v1", "one_step_q", **OPTIONS)
    shown = set(re.findall(r"[-\d.e+]+", " ".join(Page(made.page).words)))
    assert set(re.findall(r"(?<![\w.])-?\d+\.\d+(?:e[-+]\d+)?(?![\w.])", made.text)) <= shown


def test_the_page_says_which_command_writes_it_again():
    made = numasync.explain("CartPole-v1", "a3c", t_max=4, after=20, steps=1_000, normalize=False, network="mlp")
    command = re.search(r"Written by <code>numasync (.*?)</code>", made.page)[1]
    again = vars(parser().parse_args(command.split()))
    given = {name: again.pop(name) for name in ("env", "algo", "t_max", "after", "normalize", "network", "steps")}
    assert numasync.explain(**given).text == made.text
    assert "Written by" not in numasync.explain("CartPole-v1", "a3c", **OPTIONS).page  # layers are no words


def test_a_png_has_the_pixels_that_it_was_given():
    given = np.random.default_rng(1).integers(0, 256, (3, 5, 3), np.uint8)
    url = "data:image/png;base64," + base64.b64encode(as_png(given)).decode()
    np.testing.assert_array_equal(pixels(url), given)


def test_the_page_of_the_docs_shows_what_is_printed():
    page = (Path(__file__).parents[2] / "docs" / "howto" / "explain.md").read_text()
    excerpt = re.search(r"^```text\n(.*?)^```", page, re.M | re.S)[1]
    # A long training is not the same on every processor, and numbers are not. So numbers are left out.
    words = [re.sub(r"[-+\d.e]+| +", " ", line).strip() for line in excerpt.splitlines()]
    made = numasync.explain("CartPole-v1", "nstep_q", **{**OPTIONS, "t_max": 3})
    printed = [re.sub(r"[-+\d.e]+| +", " ", line).strip() for line in made.text.splitlines()]
    assert made.wrong is None and set(words) <= set(printed)


def test_an_explanation_repeats():
    first, again = (numasync.explain("CartPole-v1", "nstep_q", seed=4, **OPTIONS) for _ in range(2))
    other = numasync.explain("CartPole-v1", "nstep_q", seed=5, **OPTIONS)
    assert first == again and first.text != other.text


def test_a_training_begins_with_an_agent():
    agent = numasync.train("CartPole-v1", algo="a3c", network=SMALL, steps=100, final_eval_episodes=1, workers=1)
    made = numasync.explain("CartPole-v1", "a3c", from_agent=agent, network=SMALL, after=0, steps=1_000)
    assert "has made 0 steps" in made.text and made.wrong is None


def test_after_a_change_of_names_the_equations_are_still_found():
    for algorithm in ALGORITHMS.values():
        targets, gradients = equations.of_algorithm(algorithm.kernel)
        assert "loss = " in targets[-1] and "d loss" in gradients[0]
    assert equations.of(reference.dense) == "y = x W + b"
    assert equations.of_layers(["dense", "relu", "heads"], 0) == [
        "dense, heads  y = x W + b\nrelu          y = max(x, 0)"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(after=-1), "after is -1"),
        (dict(after=10_000), "after is 10000; it must leave a segment of the 10000 steps"),
        (dict(html="page.png"), "page.png does not end in .html"),
        (dict(html="missing/page.html"), "There is no folder missing for page.html"),
        (dict(algo="dqn"), "dqn"),
        (dict(env="Nope-v0"), "Nope-v0"),
        (dict(from_agent="missing.npz"), "missing.npz"),
        (dict(lr=-1), "lr is -1"),
        (dict(episode_end=2), "episode_end"),
    ],
    ids=str,
)
def test_bad_input_is_refused_with_one_sentence(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        numasync.explain(**{**OPTIONS, **options})
    assert str(refused.value).endswith((".", "?")) and "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.compiled
def test_the_command_prints_the_text_and_writes_the_page(tmp_path):
    words = "--algo a3c --env CartPole-v1 --after 300 --t-max 4 --html page.html"
    command = [sys.executable, "-m", "numasync", "explain", *words.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("One segment of A3C on CartPole-v1\n") and done.stdout.endswith("Page: page.html\n")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
