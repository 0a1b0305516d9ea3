"""aldis with receivers that wait for the commit of a SQLAlchemy session."""

from sqlalchemy.orm import Session

from aldis import Signal
from aldis.receivers import after_commit
from benchmarks.benchmark import Benchmark, Participants
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers, and send in a transaction that is committed."""
    session, signal = Session(), Signal()
    deferred = after_commit(session=lambda: session)
    keep = [deferred(receiver) for receiver in participants.receivers()]
    for receiver in keep:
        signal.connect(receiver)
    names = {"session": session, "signal": signal, "sender": participants.sender}
    statement = "with session.begin():\n    signal.send(sender, a=1)"
    return Benchmark(statement, names, keep, participants.size)
