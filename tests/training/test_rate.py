"""How fast a run is now."""

import pytest

from numasync.training.rate import RecentRate


def test_at_first_it_is_the_mean_since_the_start():
    assert RecentRate().add(2.0, 100) == 50.0


def test_before_any_time_has_passed_it_is_not_known():
    rate = RecentRate()
    assert rate.add(0.0, 0) == rate.add(0.0, 10) == 0.0


def test_a_run_that_becomes_slower_shows_it_after_ten_seconds():
    rate = RecentRate()
    for second in range(1, 101):
        assert rate.add(second, 1000 * second) == pytest.approx(1000)
    rates = [rate.add(100 + second, 100_000 + 10 * second) for second in range(1, 12)]
    assert rates == sorted(rates, reverse=True) and rates[4] == pytest.approx((5 * 1000 + 5 * 10) / 10)
    assert rates[9] == rates[10] == pytest.approx(10)


def test_what_was_played_before_the_first_call_does_not_count_after_it():
    rate = RecentRate()
    rate.add(0.1, 5_000_000)  # a run that goes on from a checkpoint
    assert rate.add(1.1, 5_000_200) == pytest.approx(200)


def test_calls_that_come_rarely_give_the_rate_between_the_last_two():
    rate = RecentRate()
    for seconds, steps in ((60, 600), (120, 6_600)):
        rate.add(seconds, steps)
    assert rate.add(180, 6_660) == pytest.approx(1)
