"""SavedModels that encode where nothing but TensorFlow is installed, and their cards.

`saved_model` writes them, `endpoints` says what they answer, `encoding` reads them, `card` and `readme` describe them.
"""
