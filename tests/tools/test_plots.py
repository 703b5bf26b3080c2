"""Learning curves: what a line, a mean, a group and its label are, the two files, and the complaints."""

import json
import os
import re
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from numasync.algorithms import ALGORITHMS
from numasync.config import make_config
from numasync.errors import InputError, TroubleWarning
from numasync.tools import drawing, plots
from numasync.training.records import CONFIG, MONITOR, RunFolder

matplotlib = pytest.importorskip("matplotlib")

# Four episodes, as (return, length, seconds, T).
EPISODES = [(1, 10, 1, 10), (3, 10, 2, 20), (8, 10, 3, 30), (4, 10, 4, 40)]


@pytest.fixture
def run(tmp_path):
    """Writes the folder of a run and returns its path. evaluations: (T, seconds, mean)."""

    def write(name, episodes=EPISODES, evaluations=(), env="CartPole-v1", algo="a3c", **options):
        folder = RunFolder(tmp_path / name, make_config("classic", env=env, algo=algo, **options))
        if len(episodes):
            folder.add_episodes(episodes)
        for steps, seconds, mean in evaluations:
            folder.add_evaluation(steps, seconds, dict(episodes=10, mean=mean, std=0, min=mean, max=mean))
        return folder.path

    return write


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Calls `plot` and returns its Figure as it was written."""
    figures = []

    def kept(figure, kind):
        figures.append(figure)
        return b""

    def draw(folders, **options):
        with monkeypatch.context() as patch:
            patch.setattr(drawing, "render", kept)
            plots.plot(folders, tmp_path / "curves", **options)
        return figures[-1]

    return draw


def points(line):
    return [tuple(map(float, point)) for point in line.get_xydata()]


def lines(axes, thick):
    return [line for line in axes.get_lines() if line.get_linewidth() == (drawing.THICK if thick else drawing.THIN)]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def svg_texts(path):
    return [element.text for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


# --- Lines


def test_a_moving_mean_is_of_fewer_values_at_the_beginning():
    values = np.array([1.0, 3.0, 8.0, 4.0, -6.0])
    assert plots.moving_mean(values, 3).tolist() == [1, 2, 4, 5, 2]
    assert plots.moving_mean(values, 1).tolist() == values.tolist()
    assert plots.moving_mean(values, 100).tolist() == [1, 2, 4, 4, 2]


def test_a_run_is_its_smoothed_score_over_steps_and_over_seconds(run, drawn):
    steps, time = drawn([run("a")], window=2).axes
    assert [points(line) for line in lines(steps, True)] == [[(10, 1), (20, 2), (30, 5.5), (40, 6)]]
    assert [points(line) for line in lines(time, True)] == [[(1, 1), (2, 2), (3, 5.5), (4, 6)]]
    assert not lines(steps, False), "one run is its own mean"


def test_time_does_not_go_back_where_two_clocks_differ(run, drawn):
    folder = run("a", [(1, 1, 1, 10), (2, 1, 3.02, 20), (3, 1, 3.01, 30), (4, 1, 5, 40)])
    time = drawn([folder], window=1).axes[1]
    assert points(time.get_lines()[0]) == [(1, 1), (3.02, 2), (3.02, 3), (5, 4)]


def test_the_default_window_is_the_last_100_episodes(run, drawn):
    folder = run("a", [(n, 1, n, n) for n in range(1, 151)])
    last_x, last_y = points(drawn([folder]).axes[0].get_lines()[0])[-1]
    assert (last_x, last_y) == (150, np.mean(range(51, 151)))


def test_an_evaluation_is_a_point(run, drawn):
    folder = run("a", evaluations=[(200, 8, 12.5), (100, 4, -3)])
    steps, time = drawn([folder], of="evaluation").axes
    assert points(steps.get_lines()[0]) == [(100, -3), (200, 12.5)], "in the order of steps"
    assert points(time.get_lines()[0]) == [(4, -3), (8, 12.5)]
    assert steps.get_lines()[0].get_marker() == "o"
    assert steps.get_ylabel() == "score (mean of an evaluation)"


def test_the_mean_is_over_the_range_of_all_runs_of_a_group(run, drawn):
    folders = [
        run("a", [(0, 1, 0, 0), (10, 1, 1, 10), (20, 1, 2, 20)]),
        run("b", [(5, 1, 1, 5), (15, 1, 4, 15), (15, 1, 5, 40)]),
        run("q", [(7, 1, 3, 2), (7, 1, 6, 60)], algo="nstep_q"),
    ]
    steps, time = drawn(folders, window=1).axes
    assert [points(line) for line in lines(steps, False)] == [
        [(0, 0), (10, 10), (20, 20)],
        [(5, 5), (15, 15), (40, 15)],
    ]
    other, mean = lines(steps, True)
    assert points(mean) == [(5, 5), (10, 10), (15, 15), (20, 17.5)], "at every point of either, from 5 to 20"
    assert points(other) == [(2, 7), (60, 7)]
    assert np.allclose(points(lines(time, True)[1]), [(1, 7.5), (2, (20 + 25 / 3) / 2)])


def test_runs_that_never_overlap_have_no_mean_but_a_label(run, drawn):
    figure = drawn([run("a", [(1, 1, 1, 10), (1, 1, 2, 20)]), run("b", [(2, 1, 3, 30), (2, 1, 4, 40)])])
    assert points(lines(figure.axes[0], True)[0]) == [] and len(lines(figure.axes[0], False)) == 2
    assert labels(figure) == ["A3C, 2 runs"]


def test_a_long_line_is_thinned_but_not_shortened():
    x = np.arange(100_000.0)
    thin_x, thin_y = plots.thin(x, 2 * x, 300)
    assert len(thin_x) == 300 and (thin_y == 2 * thin_x).all()
    assert (thin_x[0], thin_x[-1]) == (0, 99_999) and np.ptp(np.diff(thin_x)) <= 1
    uneven = np.array([0.0, 1, 1, 1, 1, 9, 9])
    thin_x, thin_y = plots.thin(uneven, np.arange(7.0), 3)
    assert (thin_x[-1], thin_y[-1]) == (9, 6), "of points at one place the last one ends the line"
    thin_x, _ = plots.thin(x[:300] ** 2, x[:300], 300)
    assert len(thin_x) == 300, "a line that is short enough keeps every point"


def test_an_svg_of_many_long_runs_stays_small(run, tmp_path):
    rng = np.random.default_rng(1)
    episodes = np.stack([rng.normal(0, 9, 20_000), np.ones(20_000), np.arange(20_000), np.arange(20_000)], axis=1)
    folders = [run(f"{algo}{seed}", episodes, algo=algo) for algo in ALGORITHMS for seed in range(5)]
    _, svg = plots.plot(folders, tmp_path / "curves", window=1)
    assert svg.stat().st_size < 300_000


def test_a_line_that_is_still_being_written_is_ignored(run, drawn):
    folder = run("a")
    with open(folder / MONITOR, "a") as file:
        file.write("9000,10,5.0")
    assert [y for _, y in points(drawn([folder], window=1).axes[0].get_lines()[0])] == [1, 3, 8, 4]


# --- Groups and what is written beside them


def test_every_algorithm_has_a_name_and_a_colour_of_its_own():
    assert drawing.NAMES.keys() == drawing.COLOURS.keys() == ALGORITHMS.keys()
    assert len({*drawing.COLOURS.values(), *drawing.SPARE_COLOURS}) == len(ALGORITHMS) + len(drawing.SPARE_COLOURS)


def test_a_group_is_an_algorithm(run, drawn):
    algos = ["a3c", "nstep_q", "a3c", "one_step_sarsa", "one_step_q", "a3c"]
    figure = drawn([run(f"run{i}", algo=algo) for i, algo in enumerate(algos)])
    assert labels(figure) == ["one-step Q, 1 run", "one-step Sarsa, 1 run", "n-step Q, 1 run", "A3C, 3 runs"]
    colours = [drawing.COLOURS[algo] for algo in ("one_step_q", "one_step_sarsa", "nstep_q", "a3c")]
    for axes in figure.axes:
        assert [line.get_color() for line in lines(axes, True)] == colours
        assert [line.get_color() for line in lines(axes, False)] == 3 * [drawing.COLOURS["a3c"]]
    assert figure.get_suptitle() == "CartPole-v1"


def test_runs_on_several_environments_are_not_mixed(run, drawn):
    games = {"c1": "CartPole-v1", "a": "Acrobot-v1", "c2": "CartPole-v1"}
    figure = drawn([run(name, env=env) for name, env in games.items()])
    assert labels(figure) == ["A3C, Acrobot-v1, 1 run", "A3C, CartPole-v1, 2 runs"]
    colours = [line.get_color() for line in lines(figure.axes[0], True)]
    assert colours == [drawing.COLOURS["a3c"], drawing.SPARE_COLOURS[0]]
    assert figure.get_suptitle() == ""


def set_preset(folder, preset):
    config = json.loads((folder / CONFIG).read_text())
    config.pop("preset", None)
    (folder / CONFIG).write_text(json.dumps(config | ({"preset": preset} if preset else {})))
    return folder


def test_presets_are_distinguished_where_they_differ(run, drawn):
    same = [set_preset(run(f"same{i}"), "paper") for i in range(2)]
    assert labels(drawn(same)) == ["A3C, 2 runs"]
    without = set_preset(run("without"), None)
    assert labels(drawn([*same, without])) == ["A3C, default preset, 1 run", "A3C, paper preset, 2 runs"]
    assert labels(drawn([without, set_preset(run("default"), "default")])) == ["A3C, 2 runs"]


def test_no_two_of_ten_groups_look_alike(run, drawn):
    folders = [set_preset(run(f"run{i}"), f"p{i}") for i in range(10)]
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn(folders).axes[0].get_lines()}
    assert len(looks) == 10


def test_a_folder_given_twice_is_one_run(run, drawn, tmp_path):
    folder = run("a")
    assert labels(drawn([folder, tmp_path / "b" / ".." / "a", str(folder)])) == ["A3C, 1 run"]


@pytest.mark.parametrize(
    ("steps", "seconds", "x", "names"),
    [
        (9_000, 100, (9_000, 100), ("steps", "seconds")),
        (50_000, 179, (50, 179), ("steps (thousands)", "seconds")),
        (400_000, 180, (0.4, 3), ("steps (millions)", "minutes")),
        (2_000_000, 900, (2, 15), ("steps (millions)", "minutes")),
        (80_000_000, 36_000, (80, 10), ("steps (millions)", "hours")),
    ],
)
def test_axes_have_units_that_fit(run, drawn, steps, seconds, x, names):
    panels = drawn([run("short"), run("a", [(1, 1, 0, 0), (1, 1, seconds, steps)], algo="nstep_q")]).axes
    for axes, last, name in zip(panels, x, names):
        assert axes.get_xlabel() == name
        assert points(lines(axes, True)[0])[-1][0] == last
        assert axes.get_xlim()[0] == 0


def test_the_window_is_named(run, drawn):
    folder = run("a")
    assert drawn([folder]).axes[0].get_ylabel() == "score (mean of the last 100 training episodes)"
    assert "last 2,000 training" in drawn([folder], window=2000).axes[0].get_ylabel()
    assert drawn([folder], window=1).axes[0].get_ylabel() == "score (single training episodes)"


def test_the_panels_share_the_score(run, drawn):
    steps, time = drawn([run("a")]).axes
    steps.set_ylim(-7, 77)
    assert time.get_ylim() == (-7, 77) and time.get_ylabel() == ""


# --- Files


def test_a_png_and_an_svg_are_written(run, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    folders = [run("a"), run("b"), run("c", algo="nstep_q")]
    png, svg = plots.plot(folders, tmp_path / "curves")
    assert (png, svg) == (tmp_path / "curves.png", tmp_path / "curves.svg")
    with Image.open(png) as image:
        image.load()
        assert image.format == "PNG" and image.width == drawing.WIDTH * drawing.DPI and drawing.DPI >= 150
        assert len(image.convert("RGB").getcolors(1_000_000)) > 10
    texts = svg_texts(svg)
    for text in ("A3C, 2 runs", "n-step Q, 1 run", "CartPole-v1", "steps", "seconds"):
        assert text in texts
    assert "score (mean of the last 100 training episodes)" in texts
    assert not [path for path in tmp_path.iterdir() if path.is_file() and path not in (png, svg)]


@pytest.mark.parametrize(
    ("out", "name"),
    [("c", "c"), ("c.png", "c"), ("c.SVG", "c"), ("lr-0.01", "lr-0.01"), ("Pong-v5.a.svg", "Pong-v5.a")],
)
def test_a_suffix_is_taken_off(run, tmp_path, monkeypatch, out, name):
    folder = run("run")
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path)
    assert plots.plot([folder], f"pictures/{out}") == (Path(f"pictures/{name}.png"), Path(f"pictures/{name}.svg"))
    assert sorted(path.name for path in Path("pictures").iterdir()) == [f"{name}.png", f"{name}.svg"]


def test_an_svg_drawn_again_is_the_same(run, tmp_path, monkeypatch):
    folders = [run("a"), run("b"), run("c", algo="nstep_q")]
    _, first = plots.plot(folders, tmp_path / "first")
    # Neither the time, nor the order of the folders of different groups, nor a user's own style is seen in it.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        _, second = plots.plot([folders[2], *folders[:2]], tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in first.read_bytes()


def test_no_setting_of_matplotlib_is_changed(run, tmp_path):
    before = dict(matplotlib.rcParams)
    plots.plot([run("a")], tmp_path / "curves")
    assert dict(matplotlib.rcParams) == before


# --- Bad input


@pytest.fixture
def complaint(tmp_path, monkeypatch):
    """Calls `plot`, which must refuse and leave every file as it was, and returns its sentence."""
    monkeypatch.chdir(tmp_path)

    def contents():
        return {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}

    def call(folders, out="curves", **options):
        before = contents()
        with pytest.raises(InputError) as error:
            plots.plot(folders, out, **options)
        assert contents() == before
        assert re.fullmatch(r"\S.*\.", str(error.value)), "one sentence on one line"
        return str(error.value)

    return call


@pytest.mark.parametrize("window", [0, -1, 2.5, True])
def test_a_window_below_one_is_refused(complaint, run, window):
    assert f"window is {window!r}; it must be a whole number from 1" in complaint([run("a")], window=window)


def test_an_unknown_kind_is_refused(complaint, run):
    assert complaint([run("a")], of="loss") == "'loss' is nothing to draw; choose one of training, evaluation."


def test_no_folder_is_refused(complaint):
    assert "give the folder of at least one" in complaint([])


def test_what_is_no_run_is_refused(complaint, run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty is no folder of a run" in complaint([run("a"), "empty"])
    assert "missing is no folder of a run" in complaint(["missing"])


def test_a_run_with_nothing_to_draw_yet_is_named_and_left_out(complaint, drawn, run):
    young, older = run("young", episodes=()), run("older")
    assert f"{young} has no finished episode yet" in complaint([young])
    assert f"{older} has no evaluation yet" in complaint([older], of="evaluation")
    with pytest.warns(TroubleWarning, match=r"young has no finished episode yet; it is left out\.$"):
        assert len(drawn([older, young]).axes[0].get_lines()) == 1


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("none/curves", "There is no folder none for curves; make it first."),
        ("folder", "folder is a directory"),
        ("taken.svg", "taken.png is a directory"),
        ("", ". is a directory"),
    ],
)
def test_an_output_that_cannot_be_is_refused(complaint, run, tmp_path, out, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken.png").mkdir()
    assert says in complaint([run("a")], out)


def test_without_matplotlib_nothing_is_drawn(complaint, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert complaint([run("a")]) == 'Drawing needs matplotlib; pip install "numasync[plot]" installs it.'


def test_a_failure_leaves_the_old_pictures(complaint, run, tmp_path, monkeypatch):
    folder = run("a")
    for name in ("curves.png", "curves.svg"):
        (tmp_path / name).write_bytes(b"old")

    def full(temporary, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert complaint([folder]) == "curves.png cannot be written: No space left on device."


def test_a_picture_that_cannot_be_drawn_leaves_no_other(run, tmp_path, monkeypatch):
    folder, drawn = run("a"), drawing.render

    def broken(figure, kind):
        if kind == "svg":
            raise RuntimeError("broken")
        return drawn(figure, kind)

    monkeypatch.setattr(drawing, "render", broken)
    with pytest.raises(RuntimeError, match="broken"):
        plots.plot([folder], tmp_path / "curves")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_plot_waits_for_the_plot_of_another_thread(run, tmp_path):
    """Matplotlib's settings are the whole process's: two threads that change them at once would leave them changed."""
    folder, before = run("one"), dict(matplotlib.rcParams)
    thread = threading.Thread(target=plots.plot, args=([folder], tmp_path / "curves"))
    with drawing.STYLE_LOCK:
        thread.start()
        thread.join(0.5)
        assert thread.is_alive() and dict(matplotlib.rcParams) == before
    thread.join()
    assert (tmp_path / "curves.png").exists() and dict(matplotlib.rcParams) == before
