"""A committed transaction of a SQLAlchemy session, and then the calls written by hand."""

from sqlalchemy.orm import Session

from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = "SQLAlchemy"


def benchmark(participants: Participants) -> Benchmark:
    """Commit, and call the receivers."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(participants.receivers())}
    calls = "\n".join(f"{name}(sender, a=1)" for name in receivers)
    names = {"session": Session(), "sender": participants.sender, **receivers}
    return Benchmark(f"with session.begin():\n    pass\n{calls}", names, None, participants.size)
