"""One thin command per DVC stage: options and one section of params.yaml in, files out."""
