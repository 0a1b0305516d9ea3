"""The page on moving from Flask-Dance: its examples run, and what they make works."""

import re
from pathlib import Path

from aldis.oauth import oauth_authorized, oauth_error
from tests.oauth.apps import begin

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "move-from-flask-dance.md"


def test_the_examples_run_one_after_the_other(op):
    """Together they are an app that logs users in, and says when that did not work."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert 5 == len(blocks)
    made = {"__name__": "the_page"}
    exec(compile("\n".join(blocks), PAGE.name, "exec"), made)  # noqa: S102 - it is our own page
    client = made["app"].test_client()
    assert "/login/hub?next=/profile" == client.get("/profile").headers["Location"]
    sent = begin(client, path="/login/hub")
    answer = client.get("/login/hub/authorized?error=denied&state=" + sent["state"])
    assert "/sorry" == answer.headers["Location"]
    assert [made["greet"], made["link"]] == list(oauth_authorized.receivers_for(made["work"]))
    assert [made["handle_error"]] == list(oauth_error.receivers_for(made["hub"]))
    with made["app"].app_context():
        made["db"].engine.dispose()
