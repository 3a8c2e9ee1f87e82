"""What those that start a run make of its exit code, by the contract's list.

What is started again continues, and buys nothing twice.

| code | for the starter |
|---|---|
| 0, 75 | well: all is done, or the deadline, the item limit or the spend cap came first |
| SIGTERM, SIGINT, SIGHUP | well: somebody stopped it, and the next night goes on |
| 1, 11, 69, 70, any other signal | again in a few minutes, in the same night: a crash, lock, hang or outage |
| 2, 3, 4, 65, 73, 74, 76, 77, 78, 79 | failed, and not again: it needs a person, or another night |
"""

from typing import Final

WELL: Final = 75
"""The code beside 0 that is no failure."""

NOT_AGAIN: Final = (2, 3, 4, 65, 73, 74, 76, 77, 78, 79)
"""A second start in the same night would end as the first one did."""

NIGHT_OVER: Final = 99
"""None of the run's: a start again comes too late. So what ended the run before it stays a failure."""

AGAIN_S: Final = 300
"""So long after a crash, a lock, a hang or an outage it is started again."""

MOST_STARTS: Final = 12
"""So often within `STARTS_WITHIN_H` hours at most: an outage, which is waited for half an hour, never is."""

STARTS_WITHIN_H: Final = 6
