"""Training by Spark's workers: for more rows than the driver holds."""
