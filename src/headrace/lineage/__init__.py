"""Where things come from: from a model back to Kafka's offsets, and events for a lineage server."""
