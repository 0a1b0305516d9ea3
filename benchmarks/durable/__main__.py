import sys

from benchmarks.durable.cli import main

if __name__ == "__main__":
    sys.exit(main())
