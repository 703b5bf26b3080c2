"""How many cores a process may use, and threads that are pinned to one."""

import os
import threading

import pytest
from support.runs import trained

from numasync import dense
from numasync.runtime import affinity
from numasync.training.trainer import Trainer

linux = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot say which cores are allowed")


@linux
@pytest.mark.parametrize(
    "granted, expected",
    [
        ("200000 100000", 2),
        ("350000 100000", 3),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("max 100000", 8),
        (None, 8),
    ],
)
def test_a_containers_quota_limits_the_cores(monkeypatch, tmp_path, granted, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(affinity, "CGROUPS", tmp_path)
    monkeypatch.setattr(affinity, "OWN_CGROUPS", tmp_path / "cgroup")
    if granted:
        (tmp_path / "cpu.max").write_text(granted + "\n")
    assert affinity.cores() == expected


@linux
@pytest.mark.parametrize(
    "groups, files, expected",
    [
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/a/b", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "200000 100000"}, 2),
        ("0::/the/hosts/own", {"cpu.max": "300000 100000"}, 3),
        (
            "3:cpu,cpuacct:/a",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("3:cpu:/a/b", {"cpu/a/cpu.cfs_quota_us": "150000", "cpu/a/cpu.cfs_period_us": "50000"}, 3),
        ("3:cpu:/docker/x", {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ("3:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("3:memory:/a", {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("what is this", {}, 8),
    ],
)
def test_the_smallest_quota_of_all_groups_counts_in_both_versions(monkeypatch, tmp_path, groups, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(affinity, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(affinity, "OWN_CGROUPS", tmp_path / "own")
    affinity.OWN_CGROUPS.write_text(groups + "\n")
    for name, text in files.items():
        path = affinity.CGROUPS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert affinity.cores() == expected


@linux
@pytest.mark.parametrize("threads, expected", [(1, [None]), (2, [None, None]), (3, [1, 4, 6]), (4, [None] * 4)])
def test_threads_are_pinned_where_there_is_one_for_every_core(monkeypatch, threads, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {6, 1, 4})
    assert affinity.core_per_thread(threads) == expected


def test_no_thread_is_pinned_where_the_system_does_not_tell_the_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert affinity.core_per_thread(2) == [None, None] and affinity.cores() >= 1


@linux
def test_a_pinned_thread_keeps_to_its_core_and_so_do_the_threads_that_it_starts():
    def note():
        seen.append(os.sched_getaffinity(0))

    before, seen = os.sched_getaffinity(0), []
    core = max(before)
    with pytest.raises(KeyError), affinity.pinned(core):
        started = threading.Thread(target=note)
        started.start()
        started.join()
        note()
        raise KeyError
    note()
    with affinity.pinned(None):
        note()
    assert seen == [{core}, {core}, before, before]


@linux
def test_a_core_that_is_taken_away_is_no_error():
    before = os.sched_getaffinity(0)
    with affinity.pinned(10_000):
        assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(0) == before


@linux
@pytest.mark.compiled
def test_each_thread_of_a_run_is_pinned_to_one_core_together_with_its_environments(monkeypatch):
    allowed, played, made = sorted(os.sched_getaffinity(0)), {}, []
    run_segments_of, add_worker = Trainer.run_segments_of, Trainer._add_worker

    def noted_run(self, i, segments):
        if threading.current_thread() is not threading.main_thread():
            played.setdefault(i, set()).update(os.sched_getaffinity(0))
        return run_segments_of(self, i, segments)

    def noted_add(self, i, state):
        made.append(os.sched_getaffinity(0))
        add_worker(self, i, state)

    monkeypatch.setattr(Trainer, "run_segments_of", noted_run)
    monkeypatch.setattr(Trainer, "_add_worker", noted_add)
    trained("CartPole-v1", "a3c", workers=2 * len(allowed), steps=1_000_000, network=(dense(3),))
    assert [played[i] for i in range(len(made))] == made == [{core} for core in allowed] * 2
    assert os.sched_getaffinity(0) == set(allowed)
