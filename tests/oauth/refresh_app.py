"""An app that calls a provider for users whose tokens are in a database."""

from types import SimpleNamespace

from flask import Flask
from flask_login import LoginManager, UserMixin, current_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from aldis.errors import LoginError, LoginExpiredError
from aldis.oauth import OAuthBlueprint
from aldis.oauth.sqla import OAuthMixin, SQLAlchemyStorage


def make_app(database, provider, timeout=20):
    """Return the app, its database and its tables. ``X-User`` names the user of a request."""
    app = Flask("shop")
    app.secret_key = "only for tests"  # noqa: S105
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 20}

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(app, model_class=Base)

    class User(UserMixin, db.Model):
        __tablename__ = "oauth_test_user"
        id: Mapped[int] = mapped_column(primary_key=True)

    class OAuth(OAuthMixin, db.Model):
        __tablename__ = "oauth_test_account"
        user_id: Mapped[int] = mapped_column(ForeignKey("oauth_test_user.id"))
        user: Mapped[User] = relationship()

    manager = LoginManager(app)
    manager.request_loader(lambda request: db.session.get(User, int(request.headers["X-User"])))
    blueprint = OAuthBlueprint(
        "op",
        client_id="app",
        client_secret="secret",  # noqa: S106
        authorization_url=f"{provider}/authorize",
        token_url=f"{provider}/token",
        base_url=provider,
        timeout=timeout,
        storage=SQLAlchemyStorage(OAuth, db.session, user=current_user),
    )
    app.register_blueprint(blueprint)

    @app.get("/me")
    def me():
        try:
            answer = blueprint.session.get("/me")
        except LoginExpiredError:
            return "expired", 401
        except LoginError as error:
            return error.code, 503
        return answer.text, answer.status_code

    return SimpleNamespace(app=app, db=db, User=User, OAuth=OAuth, blueprint=blueprint)
