"""SavedModels that encode where nothing but TensorFlow is installed, and their cards."""
