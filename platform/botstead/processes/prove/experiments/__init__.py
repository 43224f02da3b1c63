"""The experiments, one file for each part that is hurt."""
