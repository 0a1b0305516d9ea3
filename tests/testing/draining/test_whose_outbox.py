"""The outbox that ``drain`` uses without an argument."""

import pytest

from aldis.durable import Outbox, durable
from aldis.errors import NoSessionError
from aldis.testing import drain
from tests.durable.support import order_paid

flask = pytest.importorskip("flask")

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestWhoseOutbox:
    def test_the_current_flask_apps(self, engine, session, receipt):
        """``drain`` uses the current app's outbox and context."""
        from aldis.flask import Aldis

        app = flask.Flask("shop")
        Aldis(app, outbox=Outbox(session))
        seen = []

        @order_paid.connect
        @durable("billing.look")
        def look(sender, **extra):
            seen.append(flask.current_app.name)

        with app.app_context():
            session.begin()
            order_paid.send("harbour", order_id=7)
            session.commit()
            assert 2 == drain().done
            order_paid.send("harbour", order_id=8)
        assert 2 == drain(app=app).done
        assert ["shop", "shop"] == seen

    @pytest.mark.parametrize("app", [None, flask.Flask("bare")])
    def test_without_an_outbox(self, app):
        """Without an outbox, the error explains how to name one."""
        with pytest.raises(NoSessionError, match=r"there is no current app with an outbox; give"):
            drain(app=app)
