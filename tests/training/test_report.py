"""What a run says of itself: events and statuses for a display, and their words."""

import dataclasses
import io
from math import nan

import pytest

from numasync import dense, relu
from numasync.agent.agent import Agent
from numasync.agent.evaluation import summarize
from numasync.config import make_config
from numasync.errors import TroubleWarning
from numasync.training.console import Console
from numasync.training.display import PlainLines
from numasync.training.progress import Progress
from numasync.training.report import Report, end_lines, evaluation_line, format_score, training_status
from numasync.training.train import train_and_show

CONFIG = make_config("classic", env="Catch-v0", algo="a3c", workers=4, steps=1_000_000, seed=7, final_eval_episodes=30)
EVALUATION = {"episodes": 30, "mean": 0.8666, "std": 0.5074, "min": -1.0, "max": 1.0}
BEST = (0.8666, 250_000)


class Recorded:
    """A display that keeps what it is given, in its order."""

    def __init__(self):
        self.given = []

    def show(self, event):
        self.given.append(event)

    def update(self, status):
        self.given.append(status)

    def clear(self):
        self.given.append("clear")


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


def progress(steps=250_000, seconds=10.0, episodes=12_345, returns=(1.0, 2.0), interrupted=False):
    return Progress(steps, CONFIG.steps, seconds, episodes, list(returns), interrupted)


@pytest.fixture
def report():
    return Report(CONFIG, "run/checkpoint.npz", Recorded(), Clock())


def last(report):
    return report.display.given[-1]


@pytest.mark.parametrize(
    "state, rate, best, text",
    [
        ({}, 25_000, None, "250,000 steps ( 25%) 25,000/s 12,345 episodes mean return 1.50 0:30 left"),
        ({"returns": ()}, 25_000, None, "250,000 steps ( 25%) 25,000/s 12,345 episodes mean return - 0:30 left"),
        ({"steps": 0}, 0, None, "0 steps ( 0%) 0/s 12,345 episodes mean return 1.50 - left"),
        ({"steps": 1_000_004}, 10, None, "1,000,004 steps (100%) 10/s 12,345 episodes mean return 1.50 0:00 left"),
        (
            {"steps": 100, "returns": [-21.0]},
            10,
            BEST,
            "100 steps ( 0%) 10/s 12,345 episodes mean return -21.0 27:46:30 left best 0.87 at 250,000",
        ),
    ],
)
def test_a_line_of_progress_for_a_file(state, rate, best, text):
    assert " ".join(training_status(progress(**state), rate, best).line.split()) == text


def test_the_parts_of_a_status_begin_with_the_most_important():
    status = training_status(progress(), 25_000, BEST)
    assert status.parts == ("0:30 left", "return 1.50", "25k/s", "best 0.87 at 250k", "250k steps")
    assert (status.stage, status.done, status.total, status.seconds) == ("training", 250_000, 1_000_000, 10.0)
    assert training_status(progress(), 0, None).parts == ("- left", "return 1.50", "0/s", "250k steps")


def test_a_machine_reads_progress_with_no_mean_before_the_first_episode_ends():
    status = training_status(progress(returns=(), episodes=0), 25_000.04, None)
    assert status.name == "progress" and status.data == {
        "steps": 250_000,
        "max_steps": 1_000_000,
        "seconds": 10.0,
        "steps_per_s": 25_000.0,
        "episodes": 0,
        "mean_return": None,
    }


def test_progress_has_the_rate_of_the_last_seconds(report):
    for second in range(1, 61):
        report.print_progress(progress(steps=1000 * min(second, 30) + 10 * second, seconds=float(second)))
    assert last(report).data["steps_per_s"] == 10 and "27:28" not in last(report).line
    assert last(report).parts[0] == f"{(1_000_000 - 30_600) // 10 // 3600}:55:40 left"


def test_progress_ends_with_the_last_step(report):
    report.print_progress(progress(steps=1_000_000))
    assert report.display.given == []


def test_the_start_names_all_options_and_the_folder(report):
    report.print_start()
    start, stage = report.display.given
    assert start.name == "start" and start.data == {"options": dataclasses.asdict(CONFIG), "folder": "run", "steps": 0}
    assert start.lines == ("a3c on Catch-v0: 4 workers, 1,000,000 steps, seed 7; compiling ...",)
    assert (stage.stage, stage.total, stage.line) == ("compiling", 0, "")
    report.print_start(5000)
    (line,) = report.display.given[2].lines
    assert line.endswith("seed 7; going on after 5,000 steps; compiling ...")
    nowhere = Report(CONFIG, display=Recorded())
    nowhere.print_start()
    assert nowhere.display.given[0].data["folder"] is None


def test_a_stage_of_unknown_length_is_its_name(report):
    report.print_stage("restoring")
    assert last(report)[:5] == ("restoring", 0, 0, 0.0, ()) and not last(report).line


def test_compilation_says_how_many_kernels_are_left_and_how_long_it_takes(report):
    report.print_compilation(2, 5, 10.0)
    assert last(report)[:5] == ("compiling", 2, 5, 10.0, ("2 of 5 kernels", "0:15 left"))


@pytest.mark.parametrize("best, line", [(True, "std 0.51, min -1, max 1 (best)."), (False, "std 0.51, min -1, max 1.")])
def test_a_periodic_evaluation_is_a_line(report, best, line):
    report.print_periodic_evaluation(250_000, EVALUATION, best)
    assert last(report).lines == (f"     250,000 steps: evaluation mean 0.87, {line}",)
    assert last(report).data == {"steps": 250_000, "scores": EVALUATION, "best": best}


def test_progress_and_the_end_name_the_best_periodic_evaluation(report):
    report.print_periodic_evaluation(100, EVALUATION, True)
    report.print_periodic_evaluation(200, {**EVALUATION, "mean": 0.5}, False)
    report.print_progress(progress())
    assert "best 0.87 at 100" in last(report).parts and last(report).line.endswith("best 0.87 at 100")
    report.print_result({"evaluation": None})
    assert last(report).lines == (
        "Best periodic evaluation: mean 0.87 at 100 steps.",
        "Checkpoint: run/checkpoint.npz",
    )


def test_the_final_evaluation_says_how_many_episodes_have_ended(report):
    report.print_final_evaluation()
    assert last(report).lines == ("Evaluating 30 episodes ...",) and last(report).data == {"done": 0, "total": 30}
    report.print_evaluated(0)
    assert last(report)[:5] == ("evaluating", 0, 30, 0.0, ("0 of 30 episodes", "- left"))
    report.clock.now += 4
    report.print_evaluated(10)
    assert last(report)[:5] == ("evaluating", 10, 30, 4.0, ("10 of 30 episodes", "0:08 left"))


def test_only_a_machine_hears_of_a_checkpoint(report):
    report.print_checkpoint(500)
    assert last(report) == ("checkpoint", (), {"steps": 500, "path": "run/checkpoint.npz"})


def test_trouble_goes_to_the_warnings_and_not_to_the_display(report):
    with pytest.warns(TroubleWarning, match=r"^The disk is full\.$"):
        report.print_trouble("The disk is full.")
    assert report.display.given == ["clear"]


def test_the_screen_is_left_to_others_at_the_end(report):
    report.close()
    assert report.display.given == ["clear"]


@pytest.mark.parametrize(
    "state, lines",
    [
        (
            {"steps": 1_000_004},
            (
                "Trained after 1,000,004 steps in 0:10 (100,000/s), 12,345 episodes.",
                "Mean return of the last 2 training episodes: 1.50.",
            ),
        ),
        (
            {"interrupted": True, "seconds": 75.0, "returns": ()},
            ("Interrupted after 250,000 steps in 1:15 (3,333/s), 12,345 episodes.",),
        ),
        (
            {"seconds": 0.0, "steps": 0, "episodes": 0, "returns": ()},
            ("Trained after 0 steps in 0:00 (0/s), 0 episodes.",),
        ),
    ],
)
def test_the_end_of_a_training(state, lines):
    assert end_lines(progress(**state)) == lines


@pytest.mark.parametrize(
    "score, text", [(436.42, "436.4"), (-17.25, "-17.2"), (0.8666, "0.87"), (-9.5, "-9.50"), (nan, "nan")]
)
def test_a_score_has_more_digits_where_it_is_small(score, text):
    assert format_score(score) == text


def test_a_run_that_is_stopped_says_how_it_goes_on(report):
    report.print_stopped("numasync train --out run")
    command = "numasync train --out run"
    assert last(report) == ("stopped", (f"Go on with: {command}",), {"command": command})


def test_evaluation_line():
    assert evaluation_line(EVALUATION) == "Evaluation over 30 episodes: mean 0.87, std 0.51, min -1, max 1."


@pytest.mark.parametrize("checkpoint, said", [("run/checkpoint.npz", ["Checkpoint: run/checkpoint.npz"]), (None, [])])
def test_a_whole_run_in_a_file(checkpoint, said):
    file = io.StringIO()
    report = Report(CONFIG, checkpoint, PlainLines(Console(file)))
    report.print_start()
    report.print_compilation(1, 2, 5.0)
    report.print_progress(progress(steps=1_000, seconds=0.1))
    report.print_checkpoint(1_000)
    report.print_end(progress(steps=1_000_004))
    report.print_final_evaluation()
    report.print_evaluated(3)
    report.print_result({"evaluation": EVALUATION})
    report.close()
    assert file.getvalue().splitlines() == [
        "a3c on Catch-v0: 4 workers, 1,000,000 steps, seed 7; compiling ...",
        training_status(progress(steps=1_000, seconds=0.1), 10_000, None).line,
        *end_lines(progress(steps=1_000_004)),
        "Evaluating 30 episodes ...",
        evaluation_line(EVALUATION),
        *said,
    ]


@pytest.mark.parametrize("call", ["print_compilation", "print_checkpoint"])
def test_where_nobody_reads_the_output_a_run_hears_of_it_only_where_it_can_end(report, monkeypatch, call):
    def gone(*_):
        raise BrokenPipeError

    monkeypatch.setattr(Recorded, "show", gone)
    monkeypatch.setattr(Recorded, "update", gone)
    getattr(report, call)(*(1, 2, 3.0)[: 3 if call == "print_compilation" else 1])
    with pytest.raises(BrokenPipeError):
        report.print_progress(progress())


def test_a_report_prints_to_the_standard_output(capsys):
    Report(CONFIG).print_end(progress())
    assert capsys.readouterr().out.startswith("Trained after 250,000 steps")


@pytest.mark.compiled
def test_a_run_tells_its_display_what_it_does_in_order(monkeypatch, tmp_path):
    def evaluate(agent, episodes, on_progress):
        on_progress(2)
        return summarize([1.0] * episodes)

    monkeypatch.setattr(Agent, "evaluate", evaluate)
    display = Recorded()
    options = dict(network=(dense(16), relu()), steps=200, workers=1, final_eval_episodes=5)
    agent = train_and_show(display, tmp_path / "run", **options)
    given = [each if each == "clear" else each[0] for each in display.given]
    kinds = [kind for i, kind in enumerate(given) if kind not in given[:i]]
    assert [kind for kind in kinds if kind != "training"] == [
        "start",
        "compiling",
        "checkpoint",
        "end",
        "evaluating",
        "clear",
        "result",
    ]
    assert ("evaluating", 2, 5) in [each[:3] for each in display.given] and display.given[-1].data == agent.result
