"""What ``aldis run`` lets every Python below it import first; see ``aldis.cli.run``.

Whatever Python that is: this file must be readable for those of ten years ago, so there are no
annotations, no f-strings and no functions here.
"""

import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
_aldis = os.path.dirname(os.path.dirname(_folder))

_reason = None

if os.environ.get("ALDIS_RUN_PREFIX") == sys.prefix:
    from importlib.util import find_spec

    _spec = find_spec("aldis")
    # Another aldis that comes first on the path may be another version: it is left alone as well.
    if _spec is None or not _spec.origin:
        _reason = "which does not find the aldis that was started (%s)" % _aldis
    elif not os.path.samefile(os.path.dirname(_spec.origin), _aldis):
        _reason = "which finds another aldis (%s) than was started (%s)" % (_spec.origin, _aldis)
    else:
        from aldis._startup import stay_first
        from aldis.blinker import install_as_blinker
        from aldis.errors import StandInError

        try:
            install_as_blinker()
        except StandInError as _error:
            sys.stderr.write("aldis run: %s\n" % _error)
        stay_first(_folder)
else:
    _reason = "which belongs to another environment (%s) than aldis (%s)" % (
        sys.prefix,
        os.environ.get("ALDIS_RUN_PREFIX"),
    )

# Only of the command itself: whatever it starts may be another Python for good reasons.
if _reason is not None and os.environ.get("ALDIS_RUN_PID") == str(os.getpid()):
    sys.stderr.write("aldis run: nothing is changed in %s, %s\n" % (sys.executable, _reason))

# Now the `sitecustomize` that would have been found without this one: coverage's, the system's.
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
    # It stays on the path for those who hand theirs to other processes.
    sys.path.insert(_position, _entry)
