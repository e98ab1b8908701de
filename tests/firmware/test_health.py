import asyncio

from check import equal, until
from speakeasy import health
from speakeasy.health import Health
from stage import Clock, Console

TIME_LIMIT_S = 60


class Dog:
    def __init__(self):
        self.timeout = None
        self.fed = 0

    def __call__(self, timeout):
        self.timeout = timeout
        return self

    def feed(self):
        self.fed += 1


async def test_fed_while_all_beat():
    clock, dog = Clock(), Dog()
    h = Health(clock, dog)
    beat = h.beat("one")
    task = asyncio.create_task(h.run())
    await until(lambda: dog.fed)
    equal(dog.timeout, health.WATCHDOG_MS)
    for _ in range(2):
        clock.now += health.SILENCE_S
        before = dog.fed
        beat()
        await until(lambda n=before: dog.fed > n)
    task.cancel()


async def test_not_fed_when_one_is_stuck():
    clock, dog = Clock(), Dog()
    h = Health(clock, dog)
    h.beat("one")
    other = h.beat("other")
    clock.now += health.SILENCE_S
    equal(h.ailing(), "")
    clock.now += 1
    other()
    equal(h.ailing(), "one")
    with Console() as console:
        task = asyncio.create_task(h.run())
        await until(lambda: "one does not work" in console.text)
        await asyncio.sleep_ms(1100)
        task.cancel()
    equal(dog.fed, 0)
    equal(console.text.count("does not work"), 1)


async def test_a_failed_task_is_told_and_started_again():
    h = Health(Clock(), Dog())
    runs = []

    async def main():
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("SECRET")
        if len(runs) == 2:
            return
        await asyncio.sleep(60)

    with Console() as console:
        task = asyncio.create_task(h.supervise("one", main))
        await until(lambda: len(runs) == 3, 12_000)
        task.cancel()
    assert "one failed with ValueError" in console.text and "one ended" in console.text
    assert "SECRET" not in console.text
    assert "main" in console.text  # where it happened


async def test_others_go_on():
    h = Health(Clock(), Dog())
    alive = []

    async def bad():
        raise RuntimeError

    async def good():
        while True:
            alive.append(1)
            await asyncio.sleep_ms(10)

    tasks = [asyncio.create_task(h.supervise("bad", bad)), asyncio.create_task(h.supervise("good", good))]
    await until(lambda: len(alive) > 20)
    for task in tasks:
        task.cancel()


async def test_what_fails_again_and_again_is_beyond_mending():
    clock = Clock()
    h = Health(clock, Dog())
    beat = h.beat("one")

    async def bad():
        beat()
        raise RuntimeError

    sleeps = []
    found = []
    real = asyncio.sleep

    async def sleep(s):
        sleeps.append(s)
        found.append(h.ailing())
        clock.now += s
        beat()
        await real(0.01)

    health.asyncio.sleep = sleep
    try:
        task = asyncio.create_task(h.supervise("one", bad))
        await until(lambda: len(sleeps) > health.MAX_RESTARTS)
        task.cancel()
    finally:
        health.asyncio.sleep = real
    equal(found[: health.MAX_RESTARTS + 1], [""] * health.MAX_RESTARTS + ["one"])
    equal(sleeps[:5], [2, 4, 8, 16, 16])


async def test_a_cancelled_task_stays_ended():
    h = Health(Clock(), Dog())
    runs = []

    async def main():
        runs.append(1)
        await asyncio.sleep(60)

    task = asyncio.create_task(h.supervise("one", main))
    await until(lambda: runs)
    task.cancel()
    await until(lambda: task.done())
    equal(len(runs), 1)


async def test_an_image_that_runs_well_is_confirmed_once():
    clock, dog, confirmed = Clock(0), Dog(), []
    h = Health(clock, dog, lambda: confirmed.append(clock.now))
    task = asyncio.create_task(h.run())
    clock.now += health.WELL_S - 1
    await until(lambda: dog.fed)
    before = dog.fed
    await until(lambda: dog.fed > before)
    equal(confirmed, [])
    clock.now += 1
    await until(lambda: confirmed)
    clock.now += 10 * health.WELL_S
    before = dog.fed
    await until(lambda: dog.fed > before + 1)
    equal(confirmed, [health.WELL_S])
    task.cancel()


async def test_an_image_is_not_confirmed_while_a_task_ails_or_is_started_again():
    clock, dog, confirmed = Clock(0), Dog(), []
    h = Health(clock, dog, lambda: confirmed.append(clock.now))
    beat = h.beat("one")
    starts = []

    async def main():
        starts.append(1)
        if len(starts) == 1:
            raise ValueError
        await asyncio.sleep(60)

    clock.now = health.WELL_S - 1
    with Console() as console:
        supervised = asyncio.create_task(h.supervise("other", main))
        await until(lambda: len(starts) == 2, 12_000)
        clock.now = health.WELL_S + health.SILENCE_S  # one has not beaten since the start
        task = asyncio.create_task(h.run())
        await until(lambda: "one does not work" in console.text)
    equal(confirmed, [])
    beat()
    ailed = clock.now
    await until(lambda: dog.fed)
    clock.now += health.WELL_S - 1
    beat()
    before = dog.fed
    await until(lambda: dog.fed > before + 1)
    equal(confirmed, [])
    clock.now += 1
    await until(lambda: confirmed)
    equal(confirmed, [ailed + health.WELL_S])
    task.cancel()
    supervised.cancel()


async def test_an_image_whose_task_was_started_again_waits_from_then_on():
    clock, dog, confirmed = Clock(0), Dog(), []
    h = Health(clock, dog, lambda: confirmed.append(clock.now))
    starts = []

    async def main():
        starts.append(1)
        if len(starts) == 1:
            clock.now = health.WELL_S - 1
            raise ValueError
        await asyncio.sleep(60)

    tasks = [asyncio.create_task(h.supervise("one", main))]
    await until(lambda: len(starts) == 2, 12_000)
    clock.now += health.WELL_S - 1
    tasks.append(asyncio.create_task(h.run()))
    await until(lambda: dog.fed > 1)
    equal(confirmed, [])
    clock.now += 1
    await until(lambda: confirmed)
    equal(confirmed, [2 * health.WELL_S - 1])
    for task in tasks:
        task.cancel()


def test_the_bootloader_is_told():
    told = []

    class Chip:
        class Partition:
            @classmethod
            def mark_app_valid_cancel_rollback(cls):
                told.append(1)

    real, health.esp32 = health.esp32, Chip
    try:
        health.confirm_image()
    finally:
        health.esp32 = real
    equal(told, [1])


def test_the_boards_own_word_is_taken():
    """This board's image came by cable, so there is nothing to confirm: that must not end the watch."""
    health.confirm_image()
