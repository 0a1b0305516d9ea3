"""Measures aldis and its peers side by side: ``python -m benchmarks`` (see README.md here)."""
