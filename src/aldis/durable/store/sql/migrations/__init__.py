"""The tables, revision by revision.

They are Alembic revisions without an ``env.py``. The module ``runner`` passes a ``SchemaStep`` to
each revision. Nothing is global, so a revision can run inside the application's own migration.
"""
