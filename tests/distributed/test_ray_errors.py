"""What is wrong with a cluster is said in one sentence, and nothing is written."""

import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

import numasync
from numasync import InputError
from numasync.cli import VERBS, main
from numasync.distributed import nodes, ray_cluster

SMALL = dict(runs=1, algos="a3c", steps=100, workers=1)


def test_without_ray_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'need Ray; pip install "numasync\[ray\]" installs it\.$'):
        numasync.study("lr", out=tmp_path / "study", ray="local", **SMALL)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("address", ["", "here", "ray://host:1", "host:0", "host:99999", ":1", "a b"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(InputError, match=r"^The address of Ray is .*; it must be HOST:PORT of the head of a cluster"):
        ray_cluster.check_address(address)


def test_an_address_where_nobody_answers_is_refused():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(InputError, match=f"^No Ray cluster answers at 127.0.0.1:{port}: Connection refused. Start"):
            ray_cluster.check_address(f"127.0.0.1:{port}")


def test_another_version_on_the_head_is_one_sentence():
    sentence = r"^The cluster at a:1 has other versions than this program\. Version mismatch: x\.$"
    with pytest.raises(InputError, match=sentence), ray_cluster.explain_connection("a:1"):
        raise RuntimeError("Version mismatch: \n x")


class FakeRay:
    """A Ray with one node of two cores, on which a probe finds what it is told to find."""

    __version__ = "2.60.0"
    exceptions = SimpleNamespace(RayError=ArithmeticError, GetTimeoutError=TimeoutError)
    util = SimpleNamespace(scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_, **__: None))

    def __init__(self, trouble="", **found):
        self.answer = {"Python": ".".join(map(str, sys.version_info[:2])), "Ray": self.__version__}, trouble
        self.answer[0].update({"numasync": numasync.__version__, **found})
        self.asked = 0

    def nodes(self):
        return [{"NodeID": "1", "NodeManagerAddress": "10.0.0.7", "Resources": {"CPU": 2.0}, "Alive": True}]

    def remote(self, **_):
        return lambda function: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self.ask))

    def ask(self, envs):
        self.asked += 1
        return self.answer

    def wait(self, answers, timeout):
        return answers, []

    def get(self, answer, timeout):
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    "name, other", [("Python", "3.9"), ("Ray", "2.1.0"), ("numasync", "0.0.1"), ("numasync", "missing")]
)
def test_another_version_on_a_node_is_one_sentence(name, other):
    with pytest.raises(InputError, match=rf"^Node 10\.0\.0\.7 has {name} {other} \(here .*\); all nodes need the same"):
        nodes.check_nodes(FakeRay(**{name: other}), 1)


def test_a_package_that_a_node_lacks_is_named():
    with pytest.raises(InputError, match=r"^Node 10\.0\.0\.7 cannot play these runs: pip install ale-py\.$"):
        nodes.check_nodes(FakeRay("pip install ale-py."), 1)


def test_more_cores_than_any_node_has_are_refused():
    with pytest.raises(InputError, match=r"^A run needs 3 cores; the largest node of the cluster has 2\.$"):
        nodes.check_nodes(FakeRay(), 3)


def test_a_node_that_fits_is_returned():
    assert nodes.check_nodes(FakeRay(), 2) == [nodes.Node("1", "10.0.0.7", 2)]


def test_a_probe_runs_where_the_package_is_unknown_to_ray():
    pytest.importorskip("ray")
    assert "<locals>" in nodes.make_probe().__qualname__
    found, trouble = nodes.make_probe()([{"env": "Nope-v0"}])
    assert found["numasync"] == numasync.__version__ and "Nope-v0" in trouble


def test_text_of_ray_stays_out_of_the_output_while_connected(capsys):
    worker = SimpleNamespace(print_to_stdstream=print)
    ray = SimpleNamespace(_private=SimpleNamespace(worker=worker))
    with ray_cluster.silent(ray):
        worker.print_to_stdstream("Raylet is terminated.", ignore_prefix=False)
    assert capsys.readouterr().out == "" and worker.print_to_stdstream is print
    with ray_cluster.silent(SimpleNamespace(_private=SimpleNamespace(worker=SimpleNamespace()))):
        pass  # of a version that has it elsewhere


def test_a_run_over_nodes_is_refused_before_a_word_is_printed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["train", "--env", "Catch-v0", "--ray", "local", "--nodes", "2"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "need Ray; pip install" in err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["study", "threads", "--ray", "local"], "The study of threads measures the seconds of one machine"),
        (["study", "lr", "--cores-per-run", "2"], "cores_per_run is for runs on a cluster; give ray too"),
        (["study", "lr", "--retries", "2"], "retries is for runs on a cluster; give ray too"),
        (["study", "lr", "--ray", "local", "--jobs", "2"], "ray and jobs exclude each other; give one."),
        (["tune", "--ray", "local", "--jobs", "2"], "ray and jobs exclude each other; give one."),
        (["tune", "--cores-per-run", "2"], "cores_per_run is for runs on a cluster; give ray too"),
    ],
)
def test_the_command_line_refuses_with_code_2(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert sentence in capsys.readouterr().err


def test_an_address_that_is_none_is_refused_with_code_2(capsys, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    for words in (["study", "lr"], ["tune"]):
        assert main([*words, "--ray", "nowhere", "--out", "x"]) == 2
        assert "The address of Ray is 'nowhere'; it must be" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_of_ray_is_imported_before_it_is_used():
    code = (
        "import contextlib, io, sys, numasync\nfrom numasync.cli import VERBS, main\n"
        "for verb in VERBS:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main([verb, '--help'])\n"
        "print(len(VERBS), sorted({'ray', 'dask', 'distributed'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{len(VERBS)} []\n", done.stderr


@pytest.mark.parametrize(
    "error, sentence",
    [
        (TimeoutError(), r"^Node 10\.0\.0\.7 of the cluster does not answer in 300 s\.$"),
        (
            ArithmeticError("x\nThe worker died"),
            r"^Node 10\.0\.0\.7 of the cluster cannot run Python: The worker died\.$",
        ),
    ],
)
def test_a_node_that_does_not_answer_is_one_sentence(error, sentence):
    ray = FakeRay()
    ray.answer = error
    with pytest.raises(InputError, match=sentence):
        nodes.check_nodes(ray, 1)


def test_a_node_that_joins_later_gets_runs_once_it_has_answered():
    ray = FakeRay()
    found, silent = nodes.Nodes(ray, 2), [True, True, False]
    ray.wait = lambda answers, timeout: ([] if silent.pop(0) else answers, [])
    assert [found.look() for _ in range(4)] == [[], [], *[[nodes.Node("1", "10.0.0.7", 2)]] * 2]
    assert ray.asked == 1


@pytest.mark.parametrize(
    "trouble, found, sentence",
    [
        ("", {"numasync": "0.0.1"}, "node 10.0.0.7 has numasync 0.0.1 (here "),
        ("pip install ale-py.", {}, "node 10.0.0.7 cannot play these runs: pip install ale-py."),
    ],
)
def test_a_node_that_joins_later_and_does_not_fit_gets_none_and_is_told_once(trouble, found, sentence):
    joined, said = nodes.Nodes(FakeRay(trouble, **found), 1), []
    joined.on_trouble = said.append
    assert [joined.look() for _ in range(3)] == [[], [], []]
    assert len(said) == 1 and said[0].startswith(f"A node that has joined gets no runs: {sentence}")


def test_a_node_that_joins_later_and_never_answers_is_told_once(monkeypatch):
    monkeypatch.setattr(nodes, "PROBE_SECONDS", 0.0)
    ray, said = FakeRay(), []
    ray.answer, ray.wait = TimeoutError(), lambda answers, timeout: ([], answers)
    joined = nodes.Nodes(ray, 1)
    joined.on_trouble = said.append
    assert joined.look() == joined.look() == []
    assert said == ["A node that has joined gets no runs: node 10.0.0.7 of the cluster does not answer in 0 s."]


def test_a_node_that_was_looked_at_before_is_not_asked_again():
    ray = FakeRay()
    fit = nodes.check_nodes(ray, 1)
    assert nodes.Nodes(ray, 1, fit=fit).look() == fit and ray.asked == 1


def test_a_node_with_too_few_cores_is_left_out():
    ray = FakeRay()
    assert nodes.Nodes(ray, 3).look() == [] and ray.asked == 0
