"""Installing the distributions of this example into a folder of their own."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

DISTRIBUTIONS = Path(__file__).with_name("distributions")
TIMEOUT = 120  # seconds, for pip


@contextmanager
def installed() -> Iterator[None]:
    """Install the plugins into a new directory, which is on ``sys.path`` during the block.

    Raises:
        subprocess.CalledProcessError: They cannot be installed. pip has printed the reason.
    """
    with TemporaryDirectory() as temporary:
        # pip builds copies, because a build leaves files next to the source.
        sources = shutil.copytree(DISTRIBUTIONS, Path(temporary, "sources"))
        target = Path(temporary, "installed")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        offline = ["--no-index", "--no-deps", "--no-build-isolation"]
        subprocess.run(
            [*pip, *offline, "--target", str(target), *map(str, sorted(sources.iterdir()))],
            check=True,
            timeout=TIMEOUT,
        )
        sys.path.insert(0, str(target))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(str(target))
