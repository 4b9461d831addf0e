"""From somebody's picture to a digit: decoding, what MNIST's authors did to theirs, and the answer of a network."""
