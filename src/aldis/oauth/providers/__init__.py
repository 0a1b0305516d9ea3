"""The settings of known providers. Each preset is data, and an application may override all of it.

::

    from aldis.oauth import OAuthBlueprint, providers

    github = OAuthBlueprint.from_preset("github", scope="user:email")
    okta = OAuthBlueprint.from_preset(providers.OKTA, domain="dev-123456.okta.com")
"""

from __future__ import annotations

from difflib import get_close_matches

from aldis.errors import UnknownNameError
from aldis.oauth.providers._data import (
    APPLE,
    ATLASSIAN,
    AUTH0,
    AZURE,
    DEXCOM,
    DIGITALOCEAN,
    DISCORD,
    DROPBOX,
    FACEBOOK,
    GITHUB,
    GITLAB,
    GOOGLE,
    HEROKU,
    JIRA,
    JIRA_OAUTH1,
    KEYCLOAK,
    LEFT_OUT,
    LINKEDIN,
    MEETUP,
    MICROSOFT,
    NYLAS,
    OKTA,
    ORCID,
    OSM,
    PRESETS,
    REDDIT,
    SALESFORCE,
    SLACK,
    SLACK_OPENID,
    SPOTIFY,
    STRAVA,
    TWITCH,
    TWITTER,
    TWITTER_OAUTH1,
    ZOHO,
)
from aldis.oauth.providers._preset import Parameter, Preset

__all__ = [
    "APPLE",
    "ATLASSIAN",
    "AUTH0",
    "AZURE",
    "DEXCOM",
    "DIGITALOCEAN",
    "DISCORD",
    "DROPBOX",
    "FACEBOOK",
    "GITHUB",
    "GITLAB",
    "GOOGLE",
    "HEROKU",
    "JIRA",
    "JIRA_OAUTH1",
    "KEYCLOAK",
    "LEFT_OUT",
    "LINKEDIN",
    "MEETUP",
    "MICROSOFT",
    "NYLAS",
    "OKTA",
    "ORCID",
    "OSM",
    "PRESETS",
    "REDDIT",
    "SALESFORCE",
    "SLACK",
    "SLACK_OPENID",
    "SPOTIFY",
    "STRAVA",
    "TWITCH",
    "TWITTER",
    "TWITTER_OAUTH1",
    "ZOHO",
    "Parameter",
    "Preset",
    "find_preset",
]


def find_preset(name: str) -> Preset:
    """Return the preset with this name.

    Args:
        name: The name, in any case, with ``-`` or ``_`` between its words.

    Raises:
        UnknownNameError: There is no such preset. The error names similar ones, or the reason why
            this provider has none.
    """
    folded = str(name).lower().replace("-", "_").replace(" ", "_")
    found = PRESETS.get(folded)
    if found is not None:
        return found
    if folded in LEFT_OUT:
        raise UnknownNameError(f"unknown preset {name!r}: {LEFT_OUT[folded]}")
    close = get_close_matches(folded, PRESETS, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else _known()
    raise UnknownNameError(f"unknown preset {name!r}: {hint}")


def _known() -> str:
    return (
        "give the URLs of this provider to OAuthBlueprint, or choose one of "
        f"{', '.join(sorted(PRESETS))}"
    )
