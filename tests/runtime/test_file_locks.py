from __future__ import annotations

import threading
from pathlib import Path

from incumbent.runtime import file_locks


def test_a_lock_is_waited_for_and_said_once(tmp_path: Path) -> None:
    order: list[str] = []
    told = threading.Event()

    def busy() -> None:
        order.append("busy")
        told.set()

    def second() -> None:
        with file_locks.waited_for(tmp_path / "lock", busy):
            order.append("second")

    with file_locks.waited_for(tmp_path / "lock", lambda: order.append("not free")):
        other = threading.Thread(target=second)
        other.start()
        assert told.wait(10)
        order.append("first ends")
    other.join(10)
    assert order == ["busy", "first ends", "second"]
    assert not other.is_alive()
