"""What moves weights, and what watches and saves them while they move: callbacks and checkpoints."""
