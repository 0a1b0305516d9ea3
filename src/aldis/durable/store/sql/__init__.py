"""The store in an SQL database, by SQLAlchemy."""
