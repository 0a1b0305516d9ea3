"""The configuration of Sphinx for ``make docs``. A build needs no network."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aldis.version import __version__

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent
if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "aldis"
author = "the aldis authors"
project_copyright = author
release = version = __version__

sys.path.insert(0, str(DOCS / "_ext"))
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "commands",
    "docstrings",
]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4  # so that `page.md#a-heading` leads there, as it does on a code host

nitpicky = True
#: Other projects. Sphinx would have to fetch their inventories, and a build fetches nothing.
OTHER_PROJECTS: Final = (
    "abc|asyncio|collections|contextlib|contextvars|datetime|decimal|enum|functools|importlib",
    "inspect|logging|os|threading|types|typing|unittest|weakref",
    "alembic|authlib|blinker|ckan|flask|flask_login|httpx2|jinja2|pluggy|pytest|quart|requests|rich",
    "sqlalchemy|starlette|werkzeug",
)
nitpick_ignore_regex = [
    *((r"py:.*", rf"({packages})(\..*)?") for packages in OTHER_PROJECTS),
    (r"py:(class|obj)", r"(aldis\..*\.)?[PRT]"),  # type variables
]
nitpick_ignore = [
    # Imported for type checkers only, so Sphinx does not see their modules.
    *(("py:class", name) for name in ("Flask", "Quart", "Template", "Connection")),
    *(("py:class", name) for name in ("Session", "AsyncSession", "Engine", "AsyncEngine")),
    *(("py:class", name) for name in ("SessionSource", "SessionHandle")),
    # Short names in docstrings, of another module or of an inherited attribute.
    ("py:class", "Registry"),
    ("py:meth", "Namespace.check"),
    ("py:attr", "session"),
    # Bases that users never use directly, and types in the annotations of properties.
    ("py:class", "aldis.core._dispatch.Emitter"),
    ("py:class", "aldis.core._dispatch.OutcomeFields"),
    ("py:class", "aldis.core.dispatch.OutcomeFields"),
    ("py:class", "aldis.core.dispatch.Emitter"),
    ("py:class", "aldis.core.inspection.Inspection"),
    ("py:class", "aldis.core.muting.Muting"),
    *(
        ("py:class", f"aldis.core.{engine}.{name}")
        for engine in ("_dispatch", "dispatch")
        for name in ("CallFields", "EmissionFields", "Progress")
    ),
    ("py:class", "aldis.core.registry.Connection"),
    ("py:class", "aldis.core.registry.Registry"),
    ("py:class", "aldis.core.tables._Table"),
    ("py:class", "aldis.core.tables.SavedReceivers"),
    ("py:class", "aldis.ckan.plugin.Plugin"),
    ("py:class", "aldis.durable.store.memory._Notifier"),
    ("py:class", "aldis.durable.outbox._Recorder"),
    ("py:class", "AppT"),
    ("py:class", "aldis._extension.AppT"),
    ("py:class", "aldis._extension.BaseExtension"),
    ("py:class", "aldis.oauth._client._Blueprint"),
    ("py:class", "aldis.oauth._client.BaseOAuthSession"),
    ("py:class", "aldis.oauth._web.Web"),
    *(("py:class", name) for name in ("Web", "async_sessionmaker", "App")),
    ("py:class", "aldis.oauth._protocol.Provider"),
    ("py:class", "aldis.oauth._protocol.Settings"),
    ("py:class", "aldis.receivers.after_commit"),
    ("py:class", "aldis.durable.codec.PayloadCodec"),
    ("py:class", "aldis.durable.store.sql.tables.Tables"),
]

html_theme = "furo"
html_title = "aldis"
html_static_path = ["_static"]
html_css_files = ["aldis.css"]
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Files outside of docs that the site shows as pages. The page in docs only links to the file.
MIRRORED: Final = {
    "project/benchmarks": ROOT / "benchmarks" / "RESULTS.md",
    "project/benchmarks-how": ROOT / "benchmarks" / "README.md",
    "project/benchmarks-durable": ROOT / "benchmarks" / "durable" / "README.md",
    "project/benchmarks-extension": ROOT / "benchmarks" / "EXTENSION.md",
    "project/changelog": ROOT / "CHANGELOG.md",
    "project/contributing": ROOT / "CONTRIBUTING.md",
}
PAGES: Final = {
    **{path: DOCS / f"{name}.md" for name, path in MIRRORED.items()},
    ROOT / "README.md": DOCS / "index.md",
}
LINK: Final = re.compile(
    r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)]*)?\)"
)


def read_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Fill in a mirrored page, and adapt the links that lead out of ``docs``."""
    here = DOCS / f"{name}.md"
    origin = MIRRORED.get(name, here)
    if origin != here:
        app.env.note_dependency(str(origin))
        source[0] = origin.read_text(encoding="utf-8")
    source[0] = LINK.sub(lambda found: _lead(found, origin, here), source[0])


def _lead(found: re.Match[str], origin: Path, here: Path) -> str:
    """Return a link of the site: to a page, to a picture, or the name of a file without a link."""
    meant = Path(os.path.normpath(origin.parent / found["path"]))
    target = PAGES.get(meant, meant)
    if target.is_relative_to(DOCS) or found["picture"]:
        way = os.path.relpath(target, here.parent)
        return f"{found['picture']}[{found['text']}]({way}{found['anchor'] or ''})"
    return f"{found['text']} (`{meant.relative_to(ROOT)}`)"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register this configuration's part of the build."""
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True}
