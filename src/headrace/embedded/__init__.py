"""Real servers for a laptop or a test: a Kafka broker and an MLflow store, started without Docker."""
