"""When something that is done at intervals is due."""

from __future__ import annotations

import math
import time

ANY_NUMBER = 1 << 62
"""Of quiet steps: whoever says so does not mind."""

# Steps that are made together take less time than this.
_SOON_SECONDS = 0.2


class SecondOrStepTimer:
    """Says when something is due: after a number of steps or of seconds.

    Args:
        every_secs: Seconds between two triggers.
        every_steps: Steps between two triggers. Exactly one of the two must be given.

    Raises:
        ValueError: If both or neither are given, or the given one is not positive.

    >>> timer = SecondOrStepTimer(every_steps=10)
    >>> timer.should_trigger_for_step(1), timer.update_last_triggered_step(1)
    (True, (None, None))
    >>> timer.should_trigger_for_step(10), timer.should_trigger_for_step(11)
    (False, True)
    """

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None) -> None:
        if (every_secs is None) == (every_steps is None):
            raise ValueError(
                "exactly one of a number of seconds and a number of steps must be given, not "
                f"{every_secs!r} seconds and {every_steps!r} steps"
            )
        for value, unit in ((every_secs, "seconds"), (every_steps, "steps")):
            if value is not None and not value > 0:
                raise ValueError(f"the number of {unit} between two triggers must be > 0: {value}")
        self._every_secs = every_secs
        self._every_steps = every_steps
        self.reset()

    def reset(self) -> None:
        """Forgets the last trigger, so that the next step triggers."""
        self._last_step: int | None = None
        self._last_time: float | None = None

    def should_trigger_for_step(self, step: int) -> bool:
        """Says whether `step` is due; always so before the first trigger."""
        if self._last_step is None or self._last_time is None:
            return True
        if step == self._last_step:
            return False
        if self._every_steps is not None:
            return step >= self._last_step + self._every_steps
        return time.monotonic() >= self._last_time + (self._every_secs or 0.0)

    def quiet_steps(self, step: int) -> int:
        """How many steps after `step` may go by before one can be due.

        >>> timer = SecondOrStepTimer(every_steps=10)
        >>> timer.quiet_steps(1), timer.update_last_triggered_step(1), timer.quiet_steps(3)
        (0, (None, None), 7)
        """
        if self._last_step is None or self._last_time is None:
            return 0
        if self._every_steps is not None:
            return max(math.ceil(self._last_step + self._every_steps) - step - 1, 0)
        left = self._last_time + (self._every_secs or 0.0) - time.monotonic()
        return ANY_NUMBER if left > _SOON_SECONDS else 0

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Notes that `step` triggered.

        Returns:
            Seconds and steps since the previous trigger; None and None at the first.
        """
        now = time.monotonic()
        elapsed: tuple[float | None, int | None] = (None, None)
        if self._last_time is not None and self._last_step is not None:
            elapsed = (now - self._last_time, step - self._last_step)
        self._last_step, self._last_time = step, now
        return elapsed

    def last_triggered_step(self) -> int | None:
        """Returns the step of the last trigger, or None."""
        return self._last_step
