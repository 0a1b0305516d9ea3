"""The table of the suites: projects, versions, requirements and documented differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

#: How long one run of one suite may take, in seconds, unless the suite sets another limit.
TIMEOUT = 600.0


class UnknownSuiteError(LookupError):
    """The table does not have a suite of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One project's tests, taken from its source distribution.

    Attributes:
        project: The name of the project's distribution, which is also the name of the suite.
        version: The release whose tests are run.
        sha256: The hash of the source distribution.
        requirements: The packages that its tests need, pinned where the project needs it;
            `constraints.txt` pins the rest.
        extras: The project's extras that are installed with it.
        constrained: Whether `constraints.txt` applies. It does not if the project pins all.
        files: A folder in `files` whose content is put into the source.
        arguments: Further arguments for pytest.
        environment: Further environment variables for the tests.
        timeout: How long one run may take, in seconds.
        core: Whether it runs by default.
        differences: The tests that may fail on aldis though they pass on blinker, by the end of
            their name, each with the reason.
    """

    project: str
    version: str
    sha256: str
    requirements: tuple[str, ...]
    extras: tuple[str, ...] = ()
    constrained: bool = True
    files: str = ""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    timeout: float = TIMEOUT
    core: bool = False
    differences: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


SUITES: tuple[Suite, ...] = (
    Suite(
        project="blinker",
        version="1.9.0",
        sha256="b4ce2265a7abece45e7cc896e98dbebe6cead56bcf805a3d23136d145f5445bf",
        requirements=("pytest==8.3.3", "pytest-asyncio==0.24.0"),
        core=True,
        differences=MappingProxyType(
            {
                "test_filtered_receiver_weakref": (
                    "asserts that a receiver is still listed after the only sender it was "
                    "connected for has died; aldis leaves nothing behind"
                ),
                "test_empty_bucket_growth": (
                    "asserts that empty private tables stay behind after disconnecting, until "
                    "a private method clears them; aldis leaves none"
                ),
            }
        ),
    ),
    Suite(
        project="flask",
        version="3.1.3",
        sha256="0ef0e52b8a9cd932855379197dd8f94047b359ca0a78695144304cb45f87c9eb",
        # later pytest lacks a private name, and later Werkzeug responds differently
        requirements=(
            "asgiref",
            "greenlet",
            "pytest==8.4.2",
            "python-dotenv==1.2.1",
            "Werkzeug==3.1.5",
        ),
        core=True,
    ),
    Suite(
        project="flask-dance",
        version="7.1.0",
        sha256="6d0510e284f3d6ff05af918849791b17ef93a008628ec33f3a80578a44b51674",
        requirements=(
            "betamax",
            "blinker",
            "Flask-Caching",
            "Flask-Login",
            "Flask-SQLAlchemy",
            "freezegun",
            "oauthlib[signedtoken]",
            "pytest",
            "pytest-mock",
            "responses",
            "SQLAlchemy",
        ),
    ),
    Suite(
        project="flask-login",
        version="0.6.3",
        sha256="5e23d14a607ef12806c699590b89d0f0e0d67baeec599d75947bf9c147330333",
        requirements=("asgiref", "blinker", "pytest", "semantic-version"),
    ),
    Suite(
        project="flask-sqlalchemy",
        version="3.1.1",
        sha256="e4b68bb881802dda1a7d878b2fc84c06d1ee57fb40b874d3dc97dabfa36b8312",
        # later releases refuse a table that one of the tests declares
        requirements=("blinker", "pytest", "SQLAlchemy==2.0.21"),
    ),
    Suite(
        project="flask-security",
        version="5.9.2",
        sha256="215b1f978c203c646cfa87667e4a193b63aaf51a18403c49eccc9ff1b1bfad8f",
        requirements=(
            "argon2-cffi",
            "Authlib",
            "Babel",
            "bcrypt",
            "cbor2",
            "cryptography",
            "Flask-Babel",
            "Flask-Mail",
            "Flask-SQLAlchemy",
            "Flask-SQLAlchemy-Lite",
            "freezegun",
            "mongoengine",
            "mongomock",
            "nh3",
            "peewee",
            "phonenumberslite",
            "pytest",
            "qrcode",
            "requests",
            "SQLAlchemy==2.0.58",
            "SQLAlchemy-Utils",
            "webauthn",
            "zxcvbn",
        ),
        timeout=1800,
    ),
    Suite(
        project="flask-appbuilder",
        version="5.3.0",
        sha256="baf645c3c150471c6660049cdb61a1e79f318b63524531f890d42f406f5d5596",
        requirements=(
            "hiro",
            "jmespath",
            "parameterized",
            "pytest",
            "python-dateutil==2.9.0.post0",
        ),
        # the others need an LDAP library, a filled database or both
        arguments=("tests/test_security_signals.py",),
        environment=MappingProxyType({"SQLALCHEMY_DATABASE_URI": "sqlite:///"}),
    ),
    Suite(
        project="flask-caching",
        version="2.5.1",
        sha256="f75b451fde3faac0e278da72263818134deca8c4ba6bb07b9b3b238991368dae",
        requirements=(
            "asgiref",
            "blinker",
            "pytest",
            "pytest-asyncio",
            "pytest-xprocess",
            "redis",
        ),
        # the one left out needs pylibmc, which is built against a C library
        arguments=(
            *("-o", "asyncio_default_fixture_loop_scope=function"),
            "--deselect=tests/test_init.py::test_init_nullcache[MemcachedCache]",
        ),
    ),
    Suite(
        project="flask-mail",
        version="0.9.1",  # the last version with tests in its source distribution
        sha256="22e5eb9a940bf407bcf30410ecc3708f3c56cc44b29c34e1726fe85006935f41",
        requirements=("mock", "pytest", "speaklater"),
        arguments=("tests.py",),
    ),
    Suite(
        project="ckan",
        version="2.12.0",
        sha256="108765eb4396dfc2506b0b9ce6d09c2f356c87e4116dcab3fa076bfd96f2b876",
        extras=("requirements",),
        requirements=(
            "beautifulsoup4==4.15.0",
            "factory-boy==3.3.3",
            "Faker==40.28.1",
            "freezegun==1.5.5",
            "Pillow==12.3.0",
            "pytest==9.1.1",
            "pytest-factoryboy==2.8.1",
            "pytest-freezegun==0.4.2",
            "responses==0.26.2",
            "toml==0.10.2",
        ),
        constrained=False,
        files="ckan",
        # the tests of signals and plugins that need neither PostgreSQL nor Solr nor Redis
        arguments=(
            *("--ckan-ini=ckan.ini", "-p", "one_table"),
            *("-k", "not (Blanket or PluginOrder or not_found or endpoint_with_context)"),
            "ckan/tests/lib/test_signals.py::test_register_blueprint",
            "ckan/tests/plugins",
            "ckanext/example_isignal",
        ),
    ),
    Suite(
        project="pelican",
        version="4.12.0",
        sha256="3983b5d2dc84c7bdf967154359077a2b78c0bbd2f7dcc55292133a7779609458",
        requirements=(
            "beautifulsoup4",
            "lxml",
            "Markdown",
            "Pygments==2.19.2",
            "pytest",
            "pytest-xdist",
            "typogrify",
        ),
        # the test that is left out takes .downstream for a hidden file
        arguments=("-Werror", "-k", "not test_regular_files_not_filtered", "pelican"),
    ),
    Suite(
        project="nikola",
        version="8.3.3",
        sha256="636d7d6ffc2ab24f4c2649e8695f8bb5604e309153ea4b60b786facae03ab1c7",
        requirements=(
            "aiohttp",
            "feedparser",
            "freezegun",
            "ghp-import",
            "hsluv",
            "html5lib",
            "Jinja2",
            "lxml==5.4.0",
            "micawber",
            "phpserialize",
            "pygal",
            "pyphen",
            "pytest",
            "ruamel.yaml",
            "toml",
            "typogrify",
            "watchdog",
        ),
        # On blinker, weak references of a deleted site cause warnings. When pytest reports them,
        # it meets a fault of CPython 3.11 ("AST constructor recursion depth mismatch").
        # The test that is left out needs all of Jupyter.
        arguments=(
            *("-o", "addopts=", "-p", "no:unraisableexception"),
            *("-k", "not (test_compiler_metadata and Jupyter)", "tests"),
        ),
        timeout=1200,
    ),
    Suite(
        project="sentry-sdk",
        version="2.75.0",
        sha256="c38ac2d4b2435c11da821e173bb9d9088c98f41ae92f559ce0e424170a8e1a29",
        requirements=(
            "asttokens",
            "executing",
            "Flask",
            "Flask-Login",
            "gevent",
            "jsonschema",
            "PySocks",
            "pytest",
            "pytest-asyncio",
            "pytest-forked",
            "pytest-localserver",
            "Quart",
            "quart-auth",
            "responses",
        ),
        arguments=("-o", "addopts=", "tests/integrations/quart", "tests/integrations/flask"),
    ),
)


def choose(names: Iterable[str], *, every: bool = False) -> list[Suite]:
    """Return the chosen suites in the order of the table.

    Args:
        names: The names of projects. Without a name, the core suites are chosen.
        every: Choose the whole table.

    Raises:
        UnknownSuiteError: A name is not in the table.
    """
    wanted = set(names)
    unknown = sorted(wanted - {suite.project for suite in SUITES})
    if unknown:
        raise UnknownSuiteError(
            f"no such suite: {', '.join(unknown)}; there are "
            f"{', '.join(suite.project for suite in SUITES)}"
        )
    if every:
        return list(SUITES)
    return [s for s in SUITES if (s.project in wanted if wanted else s.core)]
