"""``make demo-serve``: the shop, open until Ctrl-C.

The tree of each request is printed as soon as it is answered.
"""

import sys
from threading import Lock

from examples.shop.backroom import working
from examples.shop.server import Visit, end_when_told, open_shop, talk_quietly

WELCOME = """\
The shop is open: {address}

Buy something there, and watch what happens here. To try:
  - {address}statistics before anything is sold
  - more than there is, or the same product from two browsers at once
  - a note on the parcel of more than 24 characters
  - an order that is collected at the market
  - {login}

Ctrl-C closes it.
"""
LOGIN = "a login: any name and password will do, or cancel it half-way"
NO_LOGIN = "but no login: {reason}"

printing = Lock()


def show(visit: Visit) -> None:
    """Print one request's tree as a whole: requests are answered on many threads."""
    with printing:
        visit.print()
        print(flush=True)


def main() -> int:
    """Serve until interrupted, and return the exit code."""
    talk_quietly()
    end_when_told()
    try:
        with open_shop(show) as shop:
            login = NO_LOGIN.format(reason=shop.no_login) if shop.no_login else LOGIN
            print(WELCOME.format(address=shop.address, login=login), flush=True)
            with working(shop.app):
                shop.server.serve_forever()  # it takes a KeyboardInterrupt for the end
    except KeyboardInterrupt:
        pass  # it came before, or after
    print("\nThe shop is closed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
