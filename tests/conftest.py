"""What all tests share."""

import os

# Before TensorFlow is imported: no start-up notes, and TFDS must not reach for the network.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
