"""Work done ahead of where it is needed, by threads, in order and no further than a bound: decoding beside a device."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MOST_THREADS = 8
_WAIT_S = 0.1


def prefetched(items: Iterable[T], work: Callable[[T], R], *, ahead: int, threads: int | None = None) -> Iterator[R]:
    """Give `work(item)` of each item in order; items are drawn and worked on while earlier results are used.

    Args:
        items: Drawn one after the other, in a thread of its own.
        work: Called in several threads at once.
        ahead: How many results may wait at most.
        threads: How many work; None takes those of the processor, eight at most.

    Raises:
        BaseException: What drawing an item or the work raised, at its place in the order.
    """
    waiting: Queue[Future[R] | None] = Queue(max(1, ahead))
    ended = threading.Event()

    def put(future: Future[R] | None) -> None:
        while not ended.is_set():
            try:
                return waiting.put(future, timeout=_WAIT_S)
            except Full:
                continue

    def feed() -> None:
        try:
            for item in items:
                if ended.is_set():
                    return
                put(pool.submit(work, item))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
            failed: Future[R] = Future()
            failed.set_exception(error)
            put(failed)
        put(None)

    pool = ThreadPoolExecutor(threads or min(_MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="prefetch")
    feeder = threading.Thread(target=feed, name="prefetch-feed", daemon=True)
    feeder.start()
    try:
        while (future := _next(waiting)) is not None:
            yield future.result()
    finally:
        ended.set()
        pool.shutdown(wait=True, cancel_futures=True)
        feeder.join()


def _next(waiting: Queue[Future[R] | None]) -> Future[R] | None:
    while True:  # a wait without an end would not see Ctrl-C on every system
        try:
            return waiting.get(timeout=_WAIT_S)
        except Empty:
            continue
