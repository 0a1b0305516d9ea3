"""find all deliveries of a send by an index."""

from aldis.durable.store.sql.migrations.steps import SchemaStep

revision = "0002"
down_revision = "0001"


def upgrade(step: SchemaStep) -> None:
    """Create the index."""
    step.create_index("deliveries", "emission", ("emission_id",))
