"""The shop with its plugins: what is found, what fails and how it is named, and who listens."""

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

#: What the shop is configured with.
PLUGINS = ("loyalty", "crane", "radio", "stocktake")


def say(text: str) -> None:
    """Print a paragraph or an item."""
    print(fill(text, 95, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def enable(manager: PluginManager) -> None:
    """Enable what the shop is configured with; one that fails does not stop the others."""
    for name in PLUGINS:
        try:
            manager.enable(name)
        except PluginError as error:
            say(f"- {name}: {error}")
        else:
            say(f"- {name}: enabled")


def show_listeners() -> None:
    """Show who listens to a paid order, and which plugin each came from."""
    for each in origins(order_paid):
        whose = ", ".join(each.plugins) or "the shop"
        say(f"- {each.row.receiver}, of {whose}")


def buy(app: Flask) -> list[str]:
    """Buy a lamp, and return what was noted about the order."""
    with app.test_client() as browser:
        browser.post("/cart", data={"product": "1", "quantity": "1"})
        browser.post("/pay", data={"branch": "Harbour"})
    with app.app_context():
        return database.journal(len(database.takings()))


def show(manager: PluginManager, app: Flask) -> None:
    """Enable, look, buy, and disable."""
    say(f"Installed: {', '.join(manager.names)}. Configured: {', '.join(PLUGINS)}.")
    enable(manager)
    print("\nWho listens when an order is paid:")
    show_listeners()
    print("\nWhat was noted about an order:")
    for entry in buy(app):
        say(f"- {entry}")
    print("\nWhat a check of the signals says:")
    for finding in manager.check(extensions):
        say(f"- {finding}")
    manager.disable("loyalty")
    print("\nWith loyalty disabled, what was noted about an order:")
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
