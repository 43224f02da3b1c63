"""No task is forgotten, fails unseen, or outlives its owner."""

import asyncio
import gc
from contextvars import ContextVar

import pytest

from botstead.core.errors import Unavailable
from botstead.runtime.tasks import Tasks, insist

here: ContextVar[str] = ContextVar("here", default="nowhere")


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def test_a_failure_reaches_the_callback_and_the_waiter() -> None:
    async def main() -> None:
        seen: list[tuple[str, BaseException]] = []
        tasks = Tasks(lambda name, error: seen.append((name, error)))
        error = OSError("broken")

        async def fail() -> None:
            raise error

        tasks.start("sweeper", fail())
        tasks.start("loop", asyncio.Event().wait())
        with pytest.raises(OSError, match="broken"):
            await tasks.wait()
        assert seen == [("sweeper", error)]
        await tasks.stop(0)
        assert len(tasks) == 0

    run(main())


def test_waiting_ends_when_all_tasks_have_ended_well() -> None:
    async def main() -> None:
        tasks = Tasks()
        for number in range(3):
            tasks.start(f"short-{number}", asyncio.sleep(0))
        stopped = tasks.start("cancelled", asyncio.Event().wait())
        stopped.cancel()
        await tasks.wait()
        assert len(tasks) == 0

    run(main())


def test_a_task_inherits_no_context() -> None:
    async def main() -> None:
        here.set("in a request")
        found: list[str] = []

        async def look() -> None:
            found.append(here.get())

        tasks = Tasks()
        tasks.start("look", look())
        await tasks.wait()
        assert found == ["nowhere"]

    run(main())


def test_a_task_nobody_holds_survives_garbage_collection() -> None:
    async def main() -> None:
        tasks, gate, done = Tasks(), asyncio.Event(), []

        async def work() -> None:
            await gate.wait()
            done.append(True)

        tasks.start("work", work())
        await asyncio.sleep(0)
        gc.collect()
        gate.set()
        await tasks.wait()
        assert done == [True]

    run(main())


def test_stopping_drains_first_and_cancels_then() -> None:
    async def main() -> None:
        tasks, ended = Tasks(), []

        async def short() -> None:
            await asyncio.sleep(0.01)
            ended.append("short")

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("endless")

        tasks.start("short", short())
        tasks.start("endless", endless())
        await tasks.stop(0.2)
        assert ended == ["short", "endless"]
        await tasks.stop(0.2)

    run(main())


def test_nothing_starts_while_stopping() -> None:
    async def main() -> None:
        tasks = Tasks()
        await tasks.stop(0)
        with pytest.raises(RuntimeError, match="late"):
            tasks.start("late", asyncio.sleep(0))

    run(main())


def test_a_failure_while_stopping_is_still_reported() -> None:
    async def main() -> None:
        seen: list[str] = []
        tasks = Tasks(lambda name, error: seen.append(f"{name}: {error}"))

        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("while closing")

        tasks.start("stubborn", stubborn())
        await asyncio.sleep(0)
        await tasks.stop(0)
        assert seen == ["stubborn: while closing"]

    run(main())


def test_insisting_ends_when_it_was_taken_or_given_up():
    async def story():
        for refusals, taken, asked in ((0, True, 1), (2, True, 3), (9, False, 3)):
            tried = []

            async def work(refusals=refusals, tried=tried):
                tried.append(1)
                if len(tried) <= refusals:
                    raise Unavailable

            assert await insist(work, tries=3, wait=0.001) is taken
            assert len(tried) == asked

    asyncio.run(story())
