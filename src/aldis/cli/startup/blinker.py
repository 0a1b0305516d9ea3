"""Leads ``import blinker`` to aldis if another ``sitecustomize`` hides the one of ``aldis run``.

Python finds this file before the real blinker, because the folder is on ``PYTHONPATH``. Any Python
may import this file, so it has no annotations, no f-strings and no functions.
"""

import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
_path = sys.path[:]
# Python must find the real blinker now, or aldis's.
sys.path[:] = [_each for _each in sys.path if os.path.abspath(_each) != _folder]
del sys.modules[__name__]
try:
    if os.environ.get("ALDIS_RUN_PREFIX") == sys.prefix:
        from importlib.util import find_spec

        _spec = find_spec("aldis")
        _aldis = os.path.dirname(os.path.dirname(_folder))
        # Another aldis that comes first on the path may be another version.
        if _spec and _spec.origin and os.path.samefile(os.path.dirname(_spec.origin), _aldis):
            import aldis  # it takes blinker's place
    import blinker
finally:
    sys.path[:] = _path
