"""The simulation of many nodes, against what can be worked out by hand."""

import pytest

from numasync.distributed.downpour.simulation import Costs, saturated_at, simulate

# A node asks every 10 ms. An exchange keeps the actor busy for 1 ms.
COSTS = Costs(1_000, 100_000, 5, 1_000, call_s=0.001, byte_s=0.0, spread=0.0)


def test_one_node_is_never_stale():
    found = simulate(COSTS, 1)
    assert found.staleness == 0 and found.steps_per_s == pytest.approx(100_000)
    assert found.exchange_s == pytest.approx(0.001)


def test_a_node_whose_answer_takes_longer_than_its_steps_waits_for_it():
    found = simulate(COSTS._replace(sync_steps=50), 1)  # 0.5 ms of steps, and 1 ms for the exchange
    assert found.steps_per_s == pytest.approx(50_000) and found.busy == pytest.approx(1)


@pytest.mark.parametrize("nodes", [2, 5, 9])
def test_below_saturation_each_other_node_makes_one_interval_of_updates(nodes):
    found = simulate(COSTS, nodes)
    assert found.staleness == pytest.approx((nodes - 1) * 1_000 / 5, rel=0.05)
    assert found.bytes_per_s == pytest.approx(nodes * 100 * 2 * 4_000, rel=0.1)
    assert found.busy == pytest.approx(nodes / 10, rel=0.1)


def test_what_is_on_its_way_keeps_a_node_waiting_and_not_the_actor():
    costs = COSTS._replace(sync_steps=100, travel_s=0.001, travel_byte_s=0.001 / 8_000)  # 1 ms, 1 ms more for its bytes
    one = simulate(costs, 1)  # 1 ms of steps, 3 ms for an exchange
    assert one.exchange_s == pytest.approx(0.003) and one.steps_per_s == pytest.approx(100_000 / 3)
    assert one.busy == pytest.approx(1 / 3) and simulate(costs, 3).steps_per_s == pytest.approx(100_000, rel=0.01)


def test_above_saturation_nodes_wait_and_staleness_grows_no_faster_than_they_do():
    assert saturated_at(COSTS) == pytest.approx(10)
    found = simulate(COSTS, 40)
    assert found.busy == pytest.approx(1.0, rel=0.01) and found.steps_per_s == pytest.approx(1_000_000, rel=0.01)
    assert found.staleness == pytest.approx(39 * 1_000 / 5, rel=0.05)


def test_shards_divide_what_depends_on_bytes_and_not_the_call():
    costs = COSTS._replace(parameters=1_000_000, call_s=0.0005, byte_s=1e-9)
    assert costs.service_s(1) == pytest.approx(0.0005 + 8e6 * 1e-9)
    assert costs.service_s(4) == pytest.approx(0.0005 + 2e6 * 1e-9)
    assert saturated_at(costs, 4) > 3 * saturated_at(costs)


def test_a_slow_line_is_what_saturates():
    costs = COSTS._replace(parameters=1_000_000, line_bytes_s=1e8)
    assert costs.service_s(1) == pytest.approx(0.04)
