"""Side-by-side speed comparisons of the networks with other libraries; nothing in the project imports this."""

import stages as stages  # for its Ctrl-C, while the libraries are imported
