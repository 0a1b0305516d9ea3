"""A committed transaction of a SQLAlchemy session, and then the calls written out by hand."""

from sqlalchemy.orm import Session

from benchmarks.scene import Crowd, Scene

DISTRIBUTION = "SQLAlchemy"


def scene(crowd: Crowd) -> Scene:
    """Commit, and call the crowd."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(crowd.receivers())}
    calls = "\n".join(f"{name}(sender, a=1)" for name in receivers)
    names = {"session": Session(), "sender": crowd.sender, **receivers}
    return Scene(f"with session.begin():\n    pass\n{calls}", names, None, crowd.size)
