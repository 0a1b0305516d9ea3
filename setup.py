"""Builds the C engine, which is optional.

The build leaves it out if its source is absent or if ALDIS_NO_EXTENSIONS=1 is set. Without a
compiler, or if the compiler fails, the installation succeeds and aldis runs on the Python engine.
With ALDIS_REQUIRE_EXTENSIONS=1, which the builds of the released wheels set, it fails instead.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

SOURCE = "src/aldis/core/_dispatch.c"

required = os.environ.get("ALDIS_REQUIRE_EXTENSIONS") == "1"
wanted = os.environ.get("ALDIS_NO_EXTENSIONS") != "1" and (required or Path(SOURCE).exists())
dispatch = Extension("aldis.core._dispatch", sources=[SOURCE], optional=not required)

setup(ext_modules=[dispatch] if wanted else [])
