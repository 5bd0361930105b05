"""A person's data: found in every table of a pipeline, given to them, or erased."""
