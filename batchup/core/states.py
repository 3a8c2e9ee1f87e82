"""The states of an item and the moves between them, as a table.

Rules that hold here: nothing else in batchup changes a state; a move that is not in `TRANSITIONS` raises
and nothing has changed; a state says what is known about the money, not what the program is doing.
"""

from enum import Enum


class State(Enum):
    """Where an item stands. The values are what the checkpoint stores."""

    READY = "ready"  # may be created
    BACKING_OFF = "backing_off"  # may be created again later; holds no slot
    SUBMITTING = "submitting"  # the intent is on disk, the create is open
    IN_DOUBT = "in_doubt"  # may have been created, we never heard
    HELD = "held"  # in doubt for good, until a person decides
    IN_FLIGHT = "in_flight"  # created, id known, not settled
    SUCCEEDED = "succeeded"  # settled well and paid; the output is not on disk yet
    SAVED = "saved"  # the output is on disk, whole
    FAILED = "failed"  # settled badly, or refused, for good as far as this run goes

    @property
    def reported(self) -> str:
        """What people are told: saved, failed, held, in_doubt or outstanding."""
        return self.value if self in _TOLD else "outstanding"


class Move(Enum):
    """What can happen to an item."""

    SUBMIT = "submit"  # the create is about to be sent
    PUT_BACK = "put_back"  # nothing was created and the item is not to blame
    BACK_OFF = "back_off"  # nothing is running for it and again may help, later
    ACCEPT = "accept"  # the service gave it an id
    DOUBT = "doubt"  # the create's answer is unknown
    FIND = "find"  # its prediction was found in the service's list
    CLEAR = "clear"  # proved never created, or declared so
    HOLD = "hold"  # nobody can tell
    SUCCEED = "succeed"  # settled well
    FAIL = "fail"  # refused or settled badly, for good
    SAVE = "save"  # bytes checked, renamed, synced
    SHARE = "share"  # it has the output of one that is alike, checked, renamed, synced
    RERUN = "rerun"  # wanted again
    ABANDON = "abandon"  # given up by a person, whatever becomes of its prediction
    LOSE = "lose"  # its file is gone from the disk, and from the service
    RECOVER = "recover"  # its file, lost before, is on the disk after all


class Fate(Enum):
    """What was decided of a create that has no id. The values are what the checkpoint stores."""

    ABSENT = "absent"  # looked for and not there, or a person said so
    WRITTEN_OFF = "written_off"  # sent again although it may have been accepted
    ABANDONED = "abandoned"  # perhaps accepted, and given up by a person


_TOLD = frozenset({State.SAVED, State.FAILED, State.HELD, State.IN_DOUBT})

S, M = State, Move

TRANSITIONS: dict[tuple[State, Move], State] = {
    (S.READY, M.SUBMIT): S.SUBMITTING,
    (S.READY, M.FAIL): S.FAILED,  # its upload is refused or never goes through
    (S.BACKING_OFF, M.SUBMIT): S.SUBMITTING,  # its backoff is over
    (S.BACKING_OFF, M.FAIL): S.FAILED,  # its upload has to be made again and is refused
    (S.READY, M.SHARE): S.SAVED,
    (S.BACKING_OFF, M.SHARE): S.SAVED,
    (S.SUBMITTING, M.ACCEPT): S.IN_FLIGHT,
    (S.SUBMITTING, M.PUT_BACK): S.READY,
    (S.SUBMITTING, M.DOUBT): S.IN_DOUBT,
    (S.SUBMITTING, M.FAIL): S.FAILED,
    (S.IN_DOUBT, M.FIND): S.IN_FLIGHT,
    (S.IN_DOUBT, M.CLEAR): S.READY,
    (S.IN_DOUBT, M.HOLD): S.HELD,
    (S.IN_DOUBT, M.ABANDON): S.FAILED,
    (S.HELD, M.DOUBT): S.IN_DOUBT,  # a later run may be able to tell, or a person
    (S.IN_FLIGHT, M.SUCCEED): S.SUCCEEDED,
    (S.IN_FLIGHT, M.BACK_OFF): S.BACKING_OFF,
    (S.IN_FLIGHT, M.FAIL): S.FAILED,
    (S.IN_FLIGHT, M.ABANDON): S.FAILED,
    (S.SUCCEEDED, M.SUCCEED): S.SUCCEEDED,  # a fresh address for its output
    (S.SUCCEEDED, M.FAIL): S.FAILED,  # the output has expired
    (S.SUCCEEDED, M.SAVE): S.SAVED,
    (S.FAILED, M.RERUN): S.READY,
    (S.SAVED, M.RERUN): S.READY,
    (S.SAVED, M.SAVE): S.SAVED,  # its file was fetched again
    (S.SAVED, M.LOSE): S.FAILED,
    (S.FAILED, M.RECOVER): S.SAVED,
}

MAY_BE_RUNNING = frozenset({S.SUBMITTING, S.IN_DOUBT, S.HELD, S.IN_FLIGHT})
"""States whose item may have a prediction running at the service, and so hold a slot."""

UNSETTLED = MAY_BE_RUNNING | {S.SUCCEEDED}
"""States in which money may have been spent and nothing is on disk yet: what a later run picks up first."""


class IllegalMoveError(Exception):
    """A fact arrived that cannot be true in this state; nothing has changed."""


def after(state: State, move: Move) -> State:
    """Return the state that `move` leads to from `state`; raise IllegalMoveError if it leads nowhere."""
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        raise IllegalMoveError(f"{move.value} from {state.value}") from None
