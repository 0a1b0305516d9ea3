"""The signals of CKAN's guide, its subscriber, and an app with a login."""

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user, logout_user

from aldis.ckan import ckan, ckanext

#: Alias, name in the namespace, namespace, an example of a sender, names of the arguments.
CORE = [
    ("request_started", "request_started", ckan, "app", ()),
    ("request_finished", "request_finished", ckan, "app", ("response",)),
    ("register_blueprint", "register_blueprint", ckan, "dataset", ("blueprint",)),
    ("resource_download", "resource_download", ckan, "5f1c", ()),
    ("failed_login", "failed_login", ckan, "tom", ()),
    ("user_created", "user_created", ckan, "ann", ("user",)),
    ("request_password_reset", "request_password_reset", ckan, "ann", ("user",)),
    ("perform_password_reset", "perform_password_reset", ckan, None, ("user",)),
    (
        "action_succeeded",
        "action_succeed",
        ckan,
        "package_show",
        ("context", "data_dict", "result"),
    ),
    ("datastore_upsert", "datastore_upsert", ckanext, "5f1c", ("records",)),
    ("datastore_delete", "datastore_delete", ckanext, "5f1c", ("result", "data_dict")),
]
#: Two signals that are newer than the guide.
SINCE = [
    ("user_logged_in", "logged_in", ckan, "app", ("user",)),
    ("user_logged_out", "logged_out", ckan, "app", ("user",)),
]


def action_subscriber(sender, **kwargs):
    """The guide's subscriber."""
    heard.append((sender, kwargs))


heard = []


@pytest.fixture(autouse=True)
def silence():
    """Clear the records before the test, and disconnect all receivers after it."""
    heard.clear()
    yield
    for namespace in (ckan, ckanext):
        for signal in namespace.values():
            signal._clear_state()


@pytest.fixture
def login_app():
    """An app that logs its one user in and out."""
    app = Flask("ckan")
    app.secret_key = "signs nothing"  # noqa: S105 - but these tests' cookies
    user = UserMixin()
    user.id = "ann"
    LoginManager(app).user_loader(lambda user_id: user)
    app.add_url_rule("/", view_func=lambda: "home")
    app.add_url_rule("/in", view_func=lambda: str(login_user(user)), endpoint="in")
    app.add_url_rule("/out", view_func=lambda: str(logout_user()), endpoint="out")
    return app


def get(app, *paths):
    """Get the pages one after the other."""
    client = app.test_client()
    for path in paths:
        assert 200 == client.get(path).status_code
