"""The examples of the pages on logins run, and the resulting apps work."""

import re
from pathlib import Path

from aldis.oauth import oauth_authorized, oauth_error
from aldis.oauth.providers import PRESETS
from aldis.testing.oauth import log_in
from tests.oauth.apps import begin
from tests.oauth.provider_table import written

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "move-from-flask-dance.md"


def test_the_examples_run_one_after_the_other(op):
    """Together, the examples are an app that logs users in and shows failures."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert 5 == len(blocks)
    made = {"__name__": "the_page"}
    exec(compile("\n".join(blocks), PAGE.name, "exec"), made)  # noqa: S102 - the code is from the project's documentation
    client = made["app"].test_client()
    assert "/login/hub?next=/profile" == client.get("/profile").headers["Location"]
    sent = begin(client, path="/login/hub")
    answer = client.get("/login/hub/authorized?error=denied&state=" + sent["state"])
    assert "/sorry" == answer.headers["Location"]
    assert [made["greet"], made["link"]] == list(oauth_authorized.receivers_for(made["work"]))
    assert [made["handle_error"]] == list(oauth_error.receivers_for(made["hub"]))
    with made["app"].app_context():
        made["db"].engine.dispose()


GITHUB = PAGE.with_name("log-in-with-github.md")


def test_the_examples_for_github_run_one_after_the_other(tmp_path, monkeypatch):
    """The ten lines work alone. The rest adds users, and the test on the page passes."""
    monkeypatch.setenv("FLASK_SECRET_KEY", "only for tests")
    monkeypatch.setenv("FLASK_GITHUB_OAUTH_CLIENT_ID", "app")
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", f"sqlite:///{tmp_path}/app.db")
    blocks = re.findall(r"^```python\n(.*?)^```", GITHUB.read_text(), re.DOTALL | re.MULTILINE)
    assert 4 == len(blocks)
    alone, made = {"__name__": "the_page"}, {"__name__": "the_page"}
    exec(compile(blocks[0], GITHUB.name, "exec"), alone)  # noqa: S102 - the code is from the project's documentation
    sent = begin(alone["app"].test_client(), path="/login/github")
    assert ("app", "S256") == (sent["client_id"], sent["code_challenge_method"])
    exec(compile("\n".join(blocks), GITHUB.name, "exec"), made)  # noqa: S102
    made["test_hello"]()
    client = made["app"].test_client()
    canned = {"/user": {"login": "ada", "id": 7}}
    for _ in range(2):
        log_in(client, made["github"], responses=canned)
        assert "You are user 1." == client.get("/account").text
        client.get("/logout")
        assert "/login/github?next=" in client.get("/account").location
    with made["app"].app_context():
        made["db"].engine.dispose()


PROVIDERS = PAGE.with_name("choose-a-provider.md")


def test_the_examples_for_other_providers_run(monkeypatch):
    """The first one sends users to the provider, and each blueprint can be registered."""
    monkeypatch.setenv("FLASK_SECRET_KEY", "only for tests")
    monkeypatch.setenv("FLASK_SPOTIFY_OAUTH_CLIENT_ID", "app")
    blocks = re.findall(r"^```python\n(.*?)^```", PROVIDERS.read_text(), re.DOTALL | re.MULTILINE)
    made = {"__name__": "the_page"}
    exec(compile("\n".join(blocks), PROVIDERS.name, "exec"), made)  # noqa: S102 - the code is from the project's documentation
    names = ("staff", "code", "work", "sso", "calendar", "jira_cloud", "other")
    for name in names:
        made["app"].register_blueprint(made[name])
    client = made["app"].test_client()
    assert "/login/spotify?next=/playlists" == client.get("/playlists").headers["Location"]
    assert ("app", "user-read-email") == tuple(
        begin(client, path="/login/spotify")[name] for name in ("client_id", "scope")
    )


def test_the_table_of_presets_is_up_to_date():
    """If this fails, run `python -m tests.oauth.provider_table`."""
    text = PROVIDERS.read_text()
    assert written(text) == text
    assert f"has {len(PRESETS)} presets for" in text


QUART = PAGE.with_name("log-in-on-quart.md")


async def test_the_examples_for_quart_run_one_after_the_other(tmp_path, monkeypatch):
    """The ten lines work alone. The rest adds users, and the test on the page passes."""
    from aldis.testing.oauth_quart import log_in

    monkeypatch.setenv("QUART_SECRET_KEY", "only for tests")
    monkeypatch.setenv("QUART_GITHUB_OAUTH_CLIENT_ID", "app")
    monkeypatch.setenv("QUART_QUART_AUTH_COOKIE_SECURE", "false")
    monkeypatch.setenv("QUART_DATABASE", f"sqlite+aiosqlite:///{tmp_path}/app.db")
    blocks = re.findall(r"^```python\n(.*?)^```", QUART.read_text(), re.DOTALL | re.MULTILINE)
    assert 3 == len(blocks)
    made = {"__name__": "the_page"}
    exec(compile(blocks[0], QUART.name, "exec"), made)  # noqa: S102 - it is our own page
    answer = await made["app"].test_client().get("/login/github")
    assert answer.location.startswith("https://github.com/login/oauth/authorize")
    made = {"__name__": "the_page"}
    exec(compile("\n".join(blocks), QUART.name, "exec"), made)  # noqa: S102
    async with made["app"].test_app() as running:
        await made["test_hello"]()
        client = running.test_client()
        canned = {"/user": {"login": "ada", "id": 7}}
        for _ in range(2):
            await log_in(client, made["github"], responses=canned)
            page = await client.get("/account")
            assert "You are user 1." == await page.get_data(as_text=True)
            await client.get("/logout")
            assert 401 == (await client.get("/account")).status_code
    await made["engine"].dispose()
