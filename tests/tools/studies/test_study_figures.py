"""The figures of the studies."""

import sys
from concurrent.futures import Future
from math import nan

import numpy as np
import pytest
from support.studies import FakeExecutor, fake_curve, runs, text

from numasync.learner.optim import OPTIMIZERS
from numasync.tools import drawing
from numasync.tools.drawing import COLOURS, NAMES, SPARE_COLOURS
from numasync.tools.studies import figures
from numasync.tools.studies.plan import LR_HIGH, LR_LOW, STUDIES, WORKERS

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture
def figure(study, monkeypatch):
    """Calls `study` and returns its Figure as it was written."""
    kept = []

    def draw(name, **options):
        with monkeypatch.context() as patch:
            patch.setattr(drawing, "render", lambda figure, kind: kept.append(figure) or b"")
            study(name, **options)
        return kept[-1]

    return draw


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


def panel_lines(axes):
    """Without what is drawn for the legend alone."""
    return [line for line in axes.get_lines() if len(line.get_xdata())]


def diverge(run):
    return nan if run["seed"] == 2 and run["optimizer"] != "momentum_sgd" else run["lr"] * 1000


def test_every_optimiser_has_a_name_and_every_number_of_workers_a_colour():
    assert figures.OPTIMIZER_NAMES.keys() == OPTIMIZERS.keys() == set(STUDIES["optimizers"].optimizers)
    assert tuple(figures.WORKER_COLOURS) == WORKERS


def test_figure_2_is_a_dot_a_run_on_a_logarithmic_axis(figure):
    drawn = figure("lr", algos="one_step_q,a3c")
    rates = [run["lr"] for run in runs("lr", runs=4, algos="a3c")]
    for axes, algo in zip(drawn.axes, ("one_step_q", "a3c"), strict=True):
        (dots,) = axes.get_lines()
        assert axes.get_title() == NAMES[algo] and axes.get_xscale() == "log"
        assert dots.get_xydata().tolist() == [pytest.approx([rate, 1000 * rate]) for rate in rates]
        assert (dots.get_linestyle(), dots.get_marker(), dots.get_color()) == ("None", "o", COLOURS[algo])
    assert drawn.get_suptitle() == "CartPole-v1" and not labels(drawn)
    assert drawn.axes[0].get_ylabel() == "score (mean of 100 episodes)"
    assert drawn.axes[0].get_xlim() == pytest.approx((LR_LOW / 1.2, LR_HIGH * 1.2))


def test_figure_2_marks_what_diverged_at_the_bottom(figure):
    drawn = figure("lr", executor=FakeExecutor(diverge))
    rates = [run["lr"] for run in runs("lr", runs=4, algos="a3c")]
    lowest = 1000 * min(rates[0], *rates[2:])
    for axes in drawn.axes:
        dots, crosses = panel_lines(axes)
        assert len(dots.get_xdata()) == 3
        assert crosses.get_xydata().tolist() == [pytest.approx([rates[1], lowest])] and crosses.get_marker() == "x"
    assert labels(drawn) == ["diverged"]


def test_figure_s5_sorts_the_scores_of_each_optimiser(figure):
    drawn = figure("optimizers", executor=FakeExecutor(diverge))
    rates = [run["lr"] for run in runs("lr", runs=4, algos="a3c")]
    assert [axes.get_title() for axes in drawn.axes] == ["n-step Q", "A3C"]
    for axes in drawn.axes:
        sgd, rmsprop, crosses, shared, _ = panel_lines(axes)
        assert sgd.get_xdata().tolist() == [1, 2, 3, 4]
        assert sgd.get_ydata().tolist() == pytest.approx(sorted([1000 * rate for rate in rates], reverse=True))
        assert rmsprop.get_xdata().tolist() == [1, 2, 3] and rmsprop.get_color() == SPARE_COLOURS[1]
        assert crosses.get_xydata().tolist() == [pytest.approx([4, 1000 * min(rates)])], "below the worst"
        assert shared.get_label() == "shared RMSProp"
    assert labels(drawn) == ["momentum SGD", "RMSProp", "shared RMSProp", "diverged"]


def test_figures_3_and_4_are_a_line_a_number_of_workers(figure):
    drawn = figure("threads", executor=FakeExecutor(lambda run: 10.0 * run["seed"]), runs=3)
    over_steps, over_time = np.reshape(drawn.axes, (2, 2))
    for axes, algo in zip(over_steps, ("nstep_q", "a3c")):
        assert axes.get_title() == NAMES[algo] and axes.get_xlabel() == "steps"
        assert [line.get_color() for line in axes.get_lines()] == list(figures.WORKER_COLOURS.values())
        for line in axes.get_lines():
            assert line.get_xydata().tolist() == [[0, 0], [25, 5], [50, 10], [75, 15], [100, 20]], "the mean of three"
    for axes in over_time:
        assert axes.get_xlabel() == "seconds"
        assert [line.get_xdata()[-1] for line in axes.get_lines()] == [8, 4], "two cores"
    band = over_steps[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(20 + 10 / np.sqrt(3)), "the standard error of 10, 20, 30"
    assert labels(drawn) == ["1 worker", "2 workers", "4 workers", "8 workers", "16 workers"]


def test_a_curve_that_diverged_ends_and_is_marked(study, figure):
    class Diverging(FakeExecutor):
        def submit(self, function, run):
            future = super().submit(function, run)
            if (run["seed"], run["workers"]) == (2, 4):
                points = fake_curve(run, 1.0)[:3]
                points[-1] |= dict(score=nan, left=0)
                future = Future()
                future.set_result(points)
            return future

    drawn = figure("threads", executor=Diverging(lambda run: 1.0), runs=2, algos="a3c")
    over_steps, over_time = drawn.axes
    one, _, four, crosses, *_ = panel_lines(over_steps)
    assert four.get_xdata().tolist() == [0, 25] and one.get_xdata()[-1] == 100
    assert crosses.get_xydata().tolist() == [[50, 0]] and labels(drawn)[-1] == "diverged"
    assert len(over_time.get_lines()) == 2


@pytest.mark.parametrize("name", STUDIES)
def test_a_png_and_an_svg_are_written(study, tmp_path, name):
    pictures = study(name).pictures
    assert pictures == (tmp_path / "study" / "figure.png", tmp_path / "study" / "figure.svg")
    assert pictures[0].read_bytes().startswith(b"\x89PNG") and b"CartPole-v1" in pictures[1].read_bytes()


def test_without_matplotlib_the_runs_are_done_and_one_sentence_says_so(study, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        found = study("lr", verbose=True)
    assert found.pictures == () and len(found.rows) == 8 and len(text(tmp_path).splitlines()) == 9
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "needs matplotlib" in line]
    assert line.startswith('There is no figure: Drawing needs matplotlib; pip install "numasync[plot]" installs it.')
    again = FakeExecutor()
    assert len(study("lr", again).pictures) == 2 and not again.runs
