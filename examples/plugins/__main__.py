"""The shop with its plugins: which are found, which fail and why, and who listens."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill

from flask import Flask

from aldis.errors import PluginError
from aldis.plugins import PluginManager, origins
from examples.plugins.extensions import extensions
from examples.plugins.install import installed
from examples.shop import create_app, database
from examples.shop.signals import order_paid

#: The plugins in the shop's configuration.
PLUGINS = ("loyalty", "crane", "radio", "stocktake")


def say(text: str) -> None:
    """Print a paragraph or an item."""
    print(fill(text, 95, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def enable(manager: PluginManager) -> None:
    """Enable the configured plugins; a plugin that fails does not stop the others."""
    for name in PLUGINS:
        try:
            manager.enable(name)
        except PluginError as error:
            say(f"- {name}: {error}")
        else:
            say(f"- {name}: enabled")


def show_listeners() -> None:
    """Print each receiver of ``order_paid`` and its plugin."""
    for each in origins(order_paid):
        whose = ", ".join(each.plugins) or "the shop"
        say(f"- {each.row.receiver}, from {whose}")


def buy(app: Flask) -> list[str]:
    """Buy a lamp and return the journal of the order."""
    with app.test_client() as browser:
        browser.post("/cart", data={"product": "1", "quantity": "1"})
        browser.post("/pay", data={"branch": "Harbour"})
    with app.app_context():
        return database.journal(len(database.takings()))


def show(manager: PluginManager, app: Flask) -> None:
    """Enable the plugins, buy a lamp, disable one plugin, and buy again."""
    say(f"Installed: {', '.join(manager.names)}. Configured: {', '.join(PLUGINS)}.")
    enable(manager)
    print("\nReceivers of a paid order:")
    show_listeners()
    print("\nThe journal of an order:")
    for entry in buy(app):
        say(f"- {entry}")
    print("\nFindings of the check of the signals:")
    for finding in manager.check(extensions):
        say(f"- {finding}")
    manager.disable("loyalty")
    print("\nThe journal of an order, with loyalty disabled:")
    for entry in buy(app):
        say(f"- {entry}")


def main() -> int:
    """Run the example and return its exit code."""
    manager = PluginManager()
    with TemporaryDirectory() as directory, installed():
        app = create_app(Path(directory, "shop.db"))
        show(manager, app)
        database.close(app)
        manager.disable(*manager.enabled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
