"""The part of the build that pyproject.toml cannot say: the C engine is optional.

It is left out when its source is absent or ALDIS_NO_EXTENSIONS=1 is set, and a compiler that fails
(or is missing) fails only the engine: the install succeeds and runs on the Python one.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

SOURCE = "src/aldis/core/_dispatch.c"

wanted = os.environ.get("ALDIS_NO_EXTENSIONS") != "1" and Path(SOURCE).exists()
dispatch = Extension("aldis.core._dispatch", sources=[SOURCE], optional=True)

setup(ext_modules=[dispatch] if wanted else [])
