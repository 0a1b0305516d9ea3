"""An app with users in a database. The receiver of aldis links them to their accounts."""

from flask import Flask, request
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from aldis.oauth import oauth_authorized
from aldis.oauth.linking import UserLinker
from aldis.oauth.sqla import OAuthMixin, SQLAlchemyStorage
from tests.oauth.apps import CALLBACK, app_with, begin


class Shop:
    """An app with users in a database."""

    def __init__(self, op, folder, *, storage=None, **linking):
        class Base(DeclarativeBase):
            pass

        self.app = Flask("shop")
        self.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/shop.db"
        self.db = SQLAlchemy(self.app, model_class=Base)
        self._declare()
        storage = storage or SQLAlchemyStorage
        kept = storage(self.OAuth, self.db.session, user=current_user)
        _, self.blueprint = app_with(op, app=self.app, storage=kept, error_url="/sorry")
        manager = LoginManager(self.app)
        manager.user_loader(lambda key: self.db.session.get(self.User, int(key)))
        self.linker = UserLinker(
            self.OAuth, self.db.session, **{"create_user": self._create, **linking}
        )
        oauth_authorized.connect(self.linker, self.blueprint)
        with self.app.app_context():
            self.db.create_all()

    def _declare(self):
        db = self.db

        class User(UserMixin, db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            email: Mapped[str | None]
            active: Mapped[bool] = mapped_column(default=True)

            @property
            def is_active(self):
                return self.active

        class OAuth(OAuthMixin, db.Model):
            user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
            user: Mapped[User] = relationship()

        self.User, self.OAuth = User, OAuth

        @self.app.get("/who")
        def who():
            return str(current_user.id) if current_user.is_authenticated else "nobody"

        @self.app.get("/enter/<int:number>")
        def enter(number):
            login_user(db.session.get(User, number), remember="remember" in request.args)
            return ""

        @self.app.get("/exit")
        def go():
            logout_user()
            return ""

        @self.app.get("/leave")
        def leave():
            del self.blueprint.token
            return ""

    def _create(self, blueprint, token):
        return self.User(email=token["userinfo"].get("email"))

    def add_user(self, **values):
        """Add a user and return their id."""
        with self.app.app_context():
            user = self.User(**values)
            self.db.session.add(user)
            self.db.session.commit()
            return user.id

    def rows(self):
        """Return (subject, user, whether a token is stored) of each account."""
        with self.app.app_context():
            found = self.db.session.scalars(self.db.select(self.OAuth).order_by(self.OAuth.id))
            return [(row.provider_user_id, row.user_id, bool(row.token)) for row in found]

    def enter(self, op, client, subject, **claims):
        """Log in as ``subject`` at the provider."""
        sent = begin(client, op)
        op.says("/token", op.token(id_token=op.id_token(sub=subject, **claims)))
        return client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})

    def close(self):
        """Close the connections to the database."""
        with self.app.app_context():
            self.db.session.remove()
            self.db.engine.dispose()
