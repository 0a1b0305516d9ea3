#!/usr/bin/env bash
# Run Python on a copy of aldis whose C engine has AddressSanitizer and UndefinedBehaviorSanitizer:
#   tools/sanitized.sh PYTHON ARGUMENTS...
# `make sanitize` and `make fuzz` use this. It needs gcc and the libraries of its sanitizers.
set -euo pipefail

python=${1:?usage: tools/sanitized.sh PYTHON ARGUMENTS...}
shift
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

cp -r src/aldis "$build/"
find "$build" -name '_dispatch*.so' -delete
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
gcc -g -O1 -Wall -Wextra -Wno-missing-field-initializers -Werror -fno-omit-frame-pointer \
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fPIC -shared \
    "-I$include" src/aldis/core/_dispatch.c -o "$build/aldis/core/_dispatch$suffix"

# The interpreter is not instrumented. It must allocate every block with malloc, which the sanitizer
# replaces. Leak detection is off, because the interpreter itself leaves memory behind at exit.
export PYTHONPATH=$build PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
preload="$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)"
LD_PRELOAD=$preload "$python" -c '
import aldis, sys
sys.exit(None if aldis.COMPILED else "the sanitized engine was not loaded")'
LD_PRELOAD=$preload "$python" "$@"
