"""The buffer's listeners, and its calls after a commit."""

from sqlalchemy import insert
from sqlalchemy.orm import Session

from aldis.transactions import buffer_of, run_in_new_transaction
from tests.core.support import run_python
from tests.transactions.tables import Happened, committed


class TestListening:
    def test_before_others(self):
        """The buffer's listener runs first, so that later listeners see the end."""
        code = """
            import sys
            from sqlalchemy import create_engine, event, text
            from sqlalchemy.orm import Session

            @event.listens_for(Session, "after_transaction_end")
            def use(session, transaction):
                if not session.info.pop("used", None):
                    session.info["used"] = True
                    session.execute(text("select 1"))
                    session.commit()

            from aldis.transactions import buffer_of

            session = Session(create_engine("sqlite://"))
            for end in (session.rollback, session.commit):
                session.execute(text("select 1"))
                buffer_of(session).call(session, lambda: print(end.__name__))
                end()
        """
        assert "commit" == run_python(code)

    def test_once_for_all_threads(self):
        """Threads that start listening at once register one listener."""
        code = """
            from threading import Barrier, Thread
            from sqlalchemy.orm import Session
            from aldis.transactions import listen_to_sessions

            start = Barrier(16)

            def listen():
                start.wait(5)
                listen_to_sessions()

            threads = [Thread(target=listen) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            hooks = Session().dispatch
            print(len(hooks.before_commit), len(hooks.after_transaction_end))
        """
        assert "1 1" == run_python(code)

    def test_a_subclass_of_session(self, engine):
        """A subclass of Session works, such as that of Flask-SQLAlchemy."""

        class Own(Session):
            pass

        heard = []
        with Own(engine) as session:
            session.begin()
            buffer_of(session).call(session, lambda: heard.append(1))
            session.commit()
        assert [1] == heard


class TestApart:
    def test_inside_a_transaction_it_goes_on(self, engine, active):
        """A call inside an existing transaction does not end it."""
        active.execute(insert(Happened).values(number=1))
        run_in_new_transaction(active, lambda: None)
        run_in_new_transaction(active, lambda: 1 / 0)
        assert active.in_transaction()
        active.commit()
        assert [1] == committed(engine)[0]
