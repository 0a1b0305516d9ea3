"""The tables, revision by revision.

They are Alembic's revisions, without its ``env.py``: :mod:`aldis.durable.sql.migrations.running`
hands each of them a :class:`~aldis.durable.sql.migrations.steps.Step`, and nothing global, so that
they can run inside the application's own migration.
"""
