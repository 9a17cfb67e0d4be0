"""The clock of new blocks."""

from __future__ import annotations

import pytest

from metis.node.clock import Clock

NOW_S = 1_000


def clock() -> Clock:
    return Clock(lambda: NOW_S + 0.9)


def test_next__by_the_clock__is_now_or_a_second_after_the_parent() -> None:
    assert clock().next_s(NOW_S - 5) == NOW_S
    assert clock().next_s(NOW_S + 5) == NOW_S + 6


def test_next__once_chosen__is_used_up_and_time_goes_on_from_it() -> None:
    moved = clock()
    moved.choose_next(5_000)
    assert moved.next_s(NOW_S) == 5_000
    moved.used(5_000)
    assert (moved.setting.next_s, moved.now_s) == (None, 5_000)


def test_next__chosen_but_overtaken__is_after_the_parent() -> None:
    moved = clock()
    moved.choose_next(5_000)
    assert moved.next_s(6_000) == 6_001


@pytest.mark.parametrize(("interval_s", "expected"), [(7, 107), (0, 101)])
def test_next__with_an_interval__grows_always(interval_s: int, expected: int) -> None:
    moved = clock()
    moved.set_interval(interval_s)
    assert moved.next_s(100) == expected


def test_advance__and_set__move_the_time() -> None:
    moved = clock()
    moved.advance(10)
    moved.advance(5)
    assert (moved.now_s, moved.setting.offset_s) == (NOW_S + 15, 15)
    moved.set_now(50)
    assert (moved.now_s, moved.setting.offset_s) == (50, 50 - NOW_S)


def test_used__of_a_block_that_nobody_chose__leaves_the_clock() -> None:
    moved = clock()
    moved.used(9_999)
    assert moved.now_s == NOW_S
