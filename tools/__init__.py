"""Scripts of set-up, which are no stages of the pipeline."""
