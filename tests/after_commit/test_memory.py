"""The objects that ``after_commit`` holds until the commit."""

import gc
from weakref import ref

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool

from aldis.receivers import after_commit


class TestMemory:
    def test_nothing_is_kept(self, signal):
        """After many requests with any end, no payload stays alive."""
        engine = create_engine("sqlite://", poolclass=StaticPool)
        scoped = scoped_session(sessionmaker(engine))
        receiver = after_commit(session=scoped)(lambda sender, thing: None)
        signal.connect(receiver)

        class Thing:
            pass

        def request(end):
            thing = Thing()
            scoped.execute(text("SELECT 1"))
            signal.send(thing=thing)
            end()
            return ref(thing)

        one_session = scoped()
        ends = [scoped.commit, scoped.rollback, scoped.close]
        alive = [request(ends[number % 3]) for number in range(3000)]
        assert one_session is scoped()
        assert [] == [each for each in alive if each() is not None]
        alive = [request(scoped.remove) for _ in range(1000)]
        gc.collect()
        assert [] == [each for each in alive if each() is not None]
        engine.dispose()

    def test_the_arguments_live_until_then(self, signal, session, received):
        """The arguments are kept alive, unchanged, until the commit."""

        class Thing:
            pass

        receiver = after_commit(session=session)(lambda sender, thing: received.append(thing))
        signal.connect(receiver)
        session.begin()
        thing = Thing()
        here = ref(thing)
        signal.send(thing=thing)
        del thing
        gc.collect()
        session.commit()
        assert [here()] == received
