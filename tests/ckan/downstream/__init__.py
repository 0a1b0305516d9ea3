"""CKAN's own tests, on plain blinker and on aldis."""
