"""Two beats and a slot every second: each comes once, and none is left out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from celery.schedules import schedule
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from bench.chaos import kinds
from bench.chaos.stage import Stage
from khaacho import schedules, sql

COUNT = """
SELECT count(*), count(DISTINCT slot), extract(epoch FROM max(slot) - min(slot)) FROM jobs
WHERE kind = 'chaos.slot' AND slot IS NOT NULL
"""


@dataclass(frozen=True)
class Slots:
    """Slots of a second each: how many came, how many are different, how many there were."""

    came: int
    different: int
    expected: int

    @property
    def holds(self) -> bool:
        return self.came == self.different == self.expected > 0


def every_second(name: str) -> None:
    """Edit a schedule to tick every second, as an operator would."""
    schedules.create(name)
    interval = IntervalSchedule.from_schedule(schedule(timedelta(seconds=1)))
    interval.save()
    PeriodicTask.objects.filter(name=name).update(interval=interval)
    PeriodicTasks.update_changed()


def two_beats(stage: Stage, *, seconds: float, say: Callable[[str], None]) -> Slots:
    """Run two beats for so long and return what they inserted."""
    every_second(kinds.SLOTS)
    sql.execute("DELETE FROM jobs WHERE kind = 'chaos.slot'")
    beats = [stage.beat("beat-1"), stage.beat("beat-2")]
    stage.start(*beats)
    say(f"two beats tick every second for {seconds:g} s")
    time.sleep(seconds)
    stage.stop([beat.name for beat in beats])
    row = sql.fetch_one(COUNT)
    assert row
    return Slots(int(row[0]), int(row[1]), int(row[2] or 0) + 1 if row[0] else 0)
