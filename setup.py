"""Builds the C engine, which is optional.

The build leaves it out if its source is absent or if ALDIS_NO_EXTENSIONS=1 is set. Without a
compiler, or if the compiler fails, the installation succeeds and aldis runs on the Python engine.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

SOURCE = "src/aldis/core/_dispatch.c"

wanted = os.environ.get("ALDIS_NO_EXTENSIONS") != "1" and Path(SOURCE).exists()
dispatch = Extension("aldis.core._dispatch", sources=[SOURCE], optional=True)

setup(ext_modules=[dispatch] if wanted else [])
