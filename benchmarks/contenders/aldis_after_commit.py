"""aldis with receivers that wait for the commit of a SQLAlchemy session."""

from sqlalchemy.orm import Session

from aldis import Signal
from aldis.receivers import after_commit
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE
from benchmarks.scene import Crowd, Scene

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd, and send in a transaction that is committed."""
    session, signal = Session(), Signal()
    deferred = after_commit(session=lambda: session)
    keep = [deferred(receiver) for receiver in crowd.receivers()]
    for receiver in keep:
        signal.connect(receiver)
    names = {"session": session, "signal": signal, "sender": crowd.sender}
    statement = "with session.begin():\n    signal.send(sender, a=1)"
    return Scene(statement, names, keep, crowd.size)
