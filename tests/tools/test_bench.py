"""`numasync bench`: turns and medians with a simulated clock, tables and JSON, error messages, and short real runs.

No test checks how fast anything is.
"""

import json
import re
from statistics import median

import numba
import numpy as np
import pytest

from numasync.cli import main
from numasync.nn.table import WEIGHT_ROWS
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.vectors import LANES
from numasync.tools import bench
from numasync.tools.bench import default_workers, parse_sections, parse_workers, products, step, training
from numasync.tools.bench.comparison import (
    Comparison,
    make_row,
    random_array,
    repeat_in_numpy,
    run_peak,
    share_of_peak,
)
from numasync.tools.bench.environments import RandomPlayer, measure_speed
from numasync.tools.bench.layers import layer_comparisons
from numasync.tools.bench.machine import describe_machine
from numasync.tools.bench.measure import interleave, median_ratio, take_turns, times_to_fill
from numasync.tools.bench.peak import PEAK_FLOPS, ROUNDS, SUMS, multiply_adds, reference_multiply_adds
from numasync.tools.bench.report import COLUMNS, format_table, machine_lines, section_lines
from numasync.tools.bench.section import Options
from numasync.tools.bench.workloads import CARTPOLE, find_usable, make_networks

compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="measures compiled code")


class Clock:
    """A clock that only the measured work advances. order: (name, times) of each piece of work."""

    def __init__(self):
        self.now = 0.0
        self.order = []

    def __call__(self):
        return self.now

    def work(self, name, costs):
        """Return run(times). costs: the seconds of one time in each call; the last one stays."""
        costs = list(costs)

        def run(times):
            self.order.append((name, times))
            self.now += times * (costs.pop(0) if len(costs) > 1 else costs[0])

        return run


def test_a_slice_holds_the_first_power_of_two_that_fills_it():
    clock = Clock()
    assert times_to_fill(1.0, clock.work("a", [100.0, 0.3]), clock) == 4
    assert clock.order == [("a", 1), ("a", 1), ("a", 2), ("a", 4)], "the first run, which may compile, does not count"


def test_items_take_turns_and_a_sample_is_the_seconds_of_one_time():
    clock = Clock()
    items = {"slow": clock.work("slow", [9, 2, 2, 3, 5]), "fast": clock.work("fast", [9, 0.5, 0.5, 0.25, 0.75])}
    samples = interleave(items, repetitions=3, seconds=1.0, clock=clock)
    assert samples == {"slow": [2, 3, 5], "fast": [0.25, 0.75, 0.75]}
    assert clock.order[-6:] == [("slow", 1), ("fast", 2)] * 3


def test_readings_take_turns():
    order = []
    readings = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert take_turns(readings, 2) == {"a": [1, 3], "b": [2, 4]}
    assert order == list("abab")


def test_a_ratio_is_the_median_of_ratios_within_a_repetition():
    assert median_ratio([2.0, 40.0, 6.0], [1.0, 10.0, 2.0]) == 3.0
    assert Options(5, 3.0, [1]).turn == pytest.approx(0.6)


def test_the_peak_is_the_multiply_adds_that_it_counts():
    @kernel
    def run(rounds, x):
        return multiply_adds(rounds, x)

    assert run(3, FLOAT(0.5)) == pytest.approx(reference_multiply_adds(3, FLOAT(0.5)))
    assert PEAK_FLOPS == 2 * SUMS * LANES * ROUNDS


def test_a_share_of_the_peak_is_a_share_of_its_operations_in_the_same_time():
    """This one runs the peak's loop twice and counts half the operations of one loop: a quarter of the peak."""
    shape = (SUMS * LANES, ROUNDS // 2)
    entry = Comparison({}, lambda times: run_peak(2 * times), [(np.zeros(shape), np.zeros((shape[1], 1)), None)])
    # On a busy machine the system may stop a slice while its length is being found. So one of five may be far off.
    assert median(share_of_peak(entry, 9) for _ in range(5)) == pytest.approx(0.25, rel=0.5)


def test_a_row_of_a_comparison():
    entry = Comparison(
        {"product": "p", "shape": "2x3x4"}, None, [(np.zeros((2, 3)), np.zeros((3, 4)), np.zeros((2, 4)))]
    )
    assert entry.flops == 48
    row = make_row(entry, ours=[1e-6, 2e-6, 9e-6], numpys=[4e-6, 4e-6, 4e-6], of_peak=0.5)
    expected = dict(microseconds=2.0, gflops=0.024, numpy_gflops=0.012, ratio=2.0, of_peak=0.5)
    assert row == {"product": "p", "shape": "2x3x4", **{key: pytest.approx(x) for key, x in expected.items()}}


def test_a_table_has_texts_to_the_left_and_numbers_to_the_right():
    rows = [{"product": "long name", "gflops": 9.95, "of_peak": 0.5}, {"product": "p", "gflops": 1234.0, "of_peak": 1}]
    assert format_table(rows) == [
        "product    GFLOP/s  of peak",
        "long name      9.9      50%",
        "p          1,234.0     100%",
    ]


def test_a_section_is_a_table_a_summary_and_notes():
    rows = [{"environment": "e", "steps_per_s": 1000.4, "scaling": 1.0}]
    lines = section_lines({"rows": rows, "summary": {"ratio_minimum": 0.5}, "notes": ["A sentence."]})
    assert lines[2:] == ["minimum 0.50", "A sentence."]
    assert section_lines({"rows": [], "summary": {}, "notes": ["Nothing."]}) == ["Nothing."]


def test_the_machine_is_named_with_its_versions():
    found = describe_machine()
    assert json.loads(json.dumps(found)) == found and found["cores"] >= 1
    text = "\n".join(machine_lines(found))
    for key in ("processor", "llvm_cpu", "python", "numpy", "numba", "llvmlite", "gymnasium", "ale_py", "blas"):
        assert found[key] and found[key] in text
    assert found["numpy"] == np.__version__ and found["numba"] == numba.__version__


def test_defaults_and_choices():
    assert [default_workers(n) for n in (1, 2, 3, 8)] == [[1, 2], [1, 2, 3], [1, 2, 5], [1, 2, 4, 8, 12]]
    assert parse_workers("4,1,4") == [1, 4]
    assert parse_sections(None) == list(bench.SECTIONS)
    assert parse_sections("memory,products") == ["products", "memory"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("--only speed", "bench does not measure 'speed'; choose one of products, layers"),
        ("--only products,", "bench does not measure ''"),
        ("--workers 0", "workers is '0'; it must be whole numbers from 1 to 1024, such as 1,2,4"),
        ("--workers 1,two", "workers is '1,two'"),
        ("--workers 2000", "workers is '2000'"),
        ("--repetitions 0", "repetitions is 0; it must be a whole number from 1"),
        ("--seconds 0", "seconds is 0.0; it must be a number from 0.01"),
        ("--seconds nan", "seconds is nan"),
    ],
)
@compiled
def test_bad_input_gets_one_sentence(capsys, arguments, says):
    assert main(["bench", *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and says in captured.err and re.fullmatch(r"numasync: .+\.\n", captured.err)


def test_there_is_nothing_to_measure_without_the_compiler(monkeypatch, capsys):
    monkeypatch.setattr(bench, "DISABLED", True)
    assert main(["bench"]) == 2
    assert "unset NUMBA_DISABLE_JIT" in capsys.readouterr().err


@compiled
def test_sections_appear_as_tables_or_as_one_json_object(monkeypatch, capsys):
    section = {"rows": [{"what": "import", "seconds": 0.5}], "summary": {}, "notes": ["A note."]}
    asked = []
    monkeypatch.setattr(
        bench, "measure_in_process", lambda name, options, cache: asked.append((name, options)) or section
    )
    assert main("bench --only startup,memory --workers 2,1 --repetitions 3 --seconds 1".split()) == 0
    assert asked == [(name, Options(3, 1.0, [1, 2])) for name in ("startup", "memory")]
    text = capsys.readouterr().out
    assert f"\n\n{bench.SECTIONS['startup']} ...\nwhat       s\nimport  0.50\nA note.\n\n" in text
    assert main("bench --only startup --json".split()) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["machine", "options", "startup"] and result["startup"] == section
    assert list(result["options"]) == ["repetitions", "seconds", "workers"]


def test_a_section_that_fails_is_not_passed_over(tmp_path, capfd):
    with pytest.raises(RuntimeError, match="nonsense ended with exit code 1"):
        bench.measure_in_process("nonsense", Options(1, 1.0, [1]), str(tmp_path))
    assert "ModuleNotFoundError" in capfd.readouterr().err


def test_an_environment_that_cannot_be_made_is_left_out_with_a_sentence():
    found, notes = find_usable(CARTPOLE, "Nope-v0")
    assert found == [CARTPOLE] and len(notes) == 1
    assert re.fullmatch(r"Nope-v0 is left out, because it cannot be made here: InputError: .+[^.]\.", notes[0])


@pytest.mark.parametrize("kind", ["A B", "A^T B", "A B^T", "A (B^T)"])
def test_both_sides_of_a_product_compute_the_same(kind):
    entry = products.product_comparison("p", kind, 6, 32, 48)
    ((_, _, c),) = entry.products
    repeat_in_numpy(entry.products)(2)
    once = c.copy()
    entry.ours(2)
    np.testing.assert_allclose(c, 3 * once, rtol=1e-4, atol=1e-4)


def test_layers_count_the_operations_of_their_products():
    network, segment = make_networks()["paper"]
    conv1, conv2, dense1, _ = (row for row in network.rows if row[WEIGHT_ROWS] > 0)
    operations = [
        [(entry.labels["pass"], entry.flops) for entry in layer_comparisons("", row, 5)] for row in (conv1, conv2)
    ]
    one, two = 2 * 400 * 256 * 16, 2 * 81 * 256 * 32
    assert segment == 5
    assert operations[0] == [("forward", one), ("backward, weights", 5 * one)]
    assert operations[1] == [("forward", two), ("backward, weights", 5 * two), ("backward", 10 * two)]
    assert [entry.labels["shape"] for entry in layer_comparisons("", dense1, 5)] == ["1x2592x256", "1x2592x256"]


@compiled
def test_products_from_the_command_line(capsys):
    assert main("bench --only products --repetitions 1 --json".split()) == 0
    result = json.loads(capsys.readouterr().out)["products"]
    assert [row["product"] for row in result["rows"]] == [name for name, *_ in products.PRODUCTS]
    for row in [*result["rows"], result["summary"]]:
        assert row.keys() <= COLUMNS.keys() and all(x > 0 for x in row.values() if not isinstance(x, str))


@compiled
def test_threads_play_at_random_together():
    players = [RandomPlayer(CARTPOLE, i) for i in range(2)]
    assert measure_speed(players, 0.02) > 0
    assert not np.array_equal(players[0].obs, players[1].obs) and np.all(random_array(3) == random_array(3))


@compiled
def test_a_training_goes_on_from_turn_to_turn():
    trained = training.TimedTraining(CARTPOLE, "a3c", {"t_max": 5})
    assert trained.labels == {"environment": CARTPOLE, "algorithm": "a3c", "t_max": 5}
    assert trained.measure_speed(2, 0.05) > 0
    first = trained.theta[2].copy()
    assert trained.measure_speed(2, 0.05) > 0 and not np.array_equal(trained.theta[2], first)


@compiled
def test_a_ctrl_c_during_a_training_is_passed_on():
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train_for(training.make_trainer(env=CARTPOLE, algo="a3c", workers=1), 60.0, interrupt)


@compiled
def test_the_parts_of_a_step_add_up_to_the_whole():
    worker = step.OneWorker(CARTPOLE)
    worker.warm_up(0.05)
    theta = worker.trainer.theta.copy()
    costs = step.microseconds_per_step(worker, 1)
    assert next(iter(costs)) == "environment" and list(costs)[-2:] == [step.REST, step.WHOLE] and len(costs) == 7
    assert sum(costs.values()) == pytest.approx(2 * costs[step.WHOLE])
    assert 1 < worker.steps_per_segment <= 20 and not np.array_equal(worker.trainer.theta, theta)
