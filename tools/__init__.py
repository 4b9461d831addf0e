"""Scripts beside the pipeline: what `make` and users run, and what is no stage."""
