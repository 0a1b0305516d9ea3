"""For the tests of applications, and of adapters to aldis."""
