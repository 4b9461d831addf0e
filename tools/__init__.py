"""Scripts beside the pipeline: what `make` and users run, and what is no stage."""

import stages as stages  # for its Ctrl-C, while a script imports its libraries
