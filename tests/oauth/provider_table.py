"""The table of presets in the documentation, made from the presets and from their tests.

Run ``python -m tests.oauth.provider_table`` to write it into the page.
"""

from pathlib import Path

from aldis.oauth import providers
from tests.oauth.providers.known import KNOWN

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "choose-a-provider.md"
BEGIN, END = "<!-- table of presets: begin -->\n", "<!-- table of presets: end -->\n"

HEAD = (
    "| provider | preset and its parameters | settings in its preset | source | tests |\n"
    "|---|---|---|---|---|\n"
)


def table():
    """Return the table, with a row for each preset."""
    known = {each.name: each for each in KNOWN}
    rows = [_row(each, known[each.name]) for each in providers.PRESETS.values()]
    return HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def left_out():
    """Return the list of providers without a preset."""
    return "".join(f"- {name}: {reason}.\n" for name, reason in providers.LEFT_OUT.items())


def _row(preset, known):
    return (
        preset.title,
        _arguments(preset),
        _settings(preset),
        _source(preset),
        _tests(known),
    )


def _arguments(preset):
    needed = [f"`{each.name}`" for each in preset.parameters if each.default is None]
    optional = [
        f'`{each.name}` ("{each.default}")'
        for each in preset.parameters
        if each.default is not None
    ]
    return ", ".join([f"`{preset.name}`", *needed, *optional])


def _settings(preset):
    settings = preset.settings
    protocol = "OAuth 2"
    if "openid" in settings.get("scope", ""):
        protocol = "OpenID Connect"
    elif "request_token_url" in settings:
        protocol = "OAuth 1.0a"
    scope = settings.get("scope")
    parts = [protocol, f"scope `{scope}`" if scope else "", preset.quirks]
    return "; ".join(each for each in parts if each)


def _source(preset):
    text = f"[page]({preset.documentation}), {preset.read}"
    return f"{text}; {preset.also}" if preset.also else text


def _tests(known):
    parts = []
    if known.refresh:
        code = known.dead[1].get("error", "no code")
        parts.append(f"refresh ({known.refresh}), rejected with {known.dead[0]} `{code}`")
    if known.oauth1 is None:
        parts.append(f"wrong code: {known.bad_code[0]} `{known.bad_code[2]}`")
    else:
        parts.append("signatures are checked")
    parts += ["revocation"] if known.revoke else []
    parts += ["logout"] if known.logout else []
    parts += [known.also] if known.also else []
    return "; ".join(parts)


def written(text):
    """Return ``text`` with the present table and list in it."""
    for begin, end, content in (
        (BEGIN, END, table()),
        (BEGIN.replace("table", "list"), END.replace("table", "list"), left_out()),
    ):
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{content}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
