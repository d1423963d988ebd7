"""Memory: a set that forgets what is oldest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from requests_scitokens.memory import Memory


def test_what_was_added_is_in_it_until_discarded():
    memory = Memory(10)
    assert "a" not in memory
    memory.add("a")
    memory.add("a")
    assert "a" in memory
    memory.discard("a")
    memory.discard("a")
    assert "a" not in memory


def test_clearing_forgets_everything():
    memory = Memory(10)
    memory.add("a")
    memory.clear()
    assert "a" not in memory


def test_when_full_it_forgets_the_oldest_tenth():
    memory = Memory(100)
    for number in range(101):
        memory.add(number)
    assert [number for number in range(101) if number not in memory] == list(range(10))


def test_it_never_grows_beyond_its_size():
    memory = Memory(100)
    for number in range(10_000):
        memory.add(number)
    assert sum(number in memory for number in range(10_000)) <= 100
    assert 9_999 in memory


def test_threads_may_share_it():
    memory = Memory(100)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(memory.add, range(10_000)))
    assert sum(number in memory for number in range(10_000)) <= 108
