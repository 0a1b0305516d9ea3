"""Installs aldis as blinker in each Python that ``aldis run`` starts.

Any Python may import this file, so it has no annotations, no f-strings and no functions.
"""

import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
_aldis = os.path.dirname(os.path.dirname(_folder))

_reason = None

if os.environ.get("ALDIS_RUN_PREFIX") == sys.prefix:
    from importlib.util import find_spec

    _spec = find_spec("aldis")
    # Another aldis that comes first on the path may be another version.
    if _spec is None or not _spec.origin:
        _reason = "which does not find the aldis that started it (%s)" % _aldis
    elif not os.path.samefile(os.path.dirname(_spec.origin), _aldis):
        _reason = "which finds another aldis (%s), not the one that started it (%s)" % (
            _spec.origin,
            _aldis,
        )
    else:
        # The import of aldis puts it in blinker's place.
        from aldis._startup import stay_first

        stay_first(_folder)
else:
    _reason = "which belongs to another environment (%s) than aldis (%s)" % (
        sys.prefix,
        os.environ.get("ALDIS_RUN_PREFIX"),
    )

# Only in the command itself: it may start another Python on purpose.
if _reason is not None and os.environ.get("ALDIS_RUN_PID") == str(os.getpid()):
    sys.stderr.write("aldis run: nothing is changed in %s, %s\n" % (sys.executable, _reason))

# Import the `sitecustomize` that this one hides, such as coverage's or the system's.
_position = [os.path.abspath(_each) for _each in sys.path].index(_folder)
_entry = sys.path.pop(_position)
_own = sys.modules.pop(__name__)
try:
    import sitecustomize  # type: ignore[import-not-found]
except ImportError as _error:
    sys.modules[__name__] = _own
    if getattr(_error, "name", __name__) != __name__:
        raise
finally:
    # It stays on the path, because programs pass their path to other processes.
    sys.path.insert(_position, _entry)
