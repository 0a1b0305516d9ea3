"""``after_commit`` in the requests of a Flask app."""

from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy

from aldis.receivers import after_commit


class TestFlask:
    def test_requests(self, signal, tmp_path, received):
        """With Flask-SQLAlchemy, the receiver runs after the view's commit, not after a failure."""
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/app.db"
        db = SQLAlchemy(app)

        class Order(db.Model):
            id = db.Column(db.Integer, primary_key=True)

        receiver = after_commit(session=db.session)(
            lambda sender, order: received.append((order.id, current_app.name))
        )
        signal.connect(receiver)

        @app.post("/orders/<int:number>")
        def pay(number):
            order = Order(id=number)
            db.session.add(order)
            signal.send(order=order)
            if number == 13:
                raise ValueError(number)
            db.session.commit()
            return f"{order.id} {len(received)}"

        with app.app_context():
            db.create_all()
        client = app.test_client()
        assert [200, 500, 200] == [
            client.post(f"/orders/{number}").status_code for number in (7, 13, 8)
        ]
        assert [(7, app.name), (8, app.name)] == received
        with app.app_context():
            db.engine.dispose()
