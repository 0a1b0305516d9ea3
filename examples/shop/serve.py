"""``make demo-serve``: the shop in your browser, until Ctrl-C.

The tree of each request is printed after its answer.
"""

import sys

from aldis.observe import TracedRequest
from examples.shop.app import DASHBOARD
from examples.shop.backroom import working
from examples.shop.server import end_when_told, open_shop, talk_quietly

WELCOME = """\
The shop is open: {address}

Buy something in your browser, and watch the signals here. The dashboard is at
{dashboard}
Keep it open in another tab. You can try:
  - {address}statistics before the first order
  - an order of more pieces than the shop has
  - a note on the parcel of more than 24 characters
  - an order that you collect at the market
  - {login}

Ctrl-C closes the shop.
"""
LOGIN = "a login with any name and password, or cancel it at the provider"
NO_LOGIN = "no login, because {reason}"


def show(request: TracedRequest) -> None:
    """Print the tree of a request, but not of the updates of the dashboard."""
    if not request.path.startswith(DASHBOARD):
        request.print()


def main() -> int:
    """Serve until interrupted, and return the exit code."""
    talk_quietly()
    end_when_told()
    try:
        with open_shop(trace=show) as shop:
            login = NO_LOGIN.format(reason=shop.no_login) if shop.no_login else LOGIN
            dashboard = shop.address.rstrip("/") + DASHBOARD
            welcome = WELCOME.format(address=shop.address, dashboard=dashboard, login=login)
            print(welcome, flush=True)
            with working(shop.app):
                shop.server.serve_forever()  # it returns on a KeyboardInterrupt
    except KeyboardInterrupt:
        pass  # it came before or after serve_forever
    print("\nThe shop is closed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
