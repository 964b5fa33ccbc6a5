"""Random views and transformations of a batch, as Keras layers inside the step."""
