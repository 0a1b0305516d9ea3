"""``python -m aldis``: the command ``aldis``."""

from __future__ import annotations

from aldis.cli import main

if __name__ == "__main__":
    main()
