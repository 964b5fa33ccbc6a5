"""Is the posterior collapsed, where, since when, and what helps; and, before training, what the data allow.

`examination` gets the figures of a run or of a model, `diagnosis` judges them, `advice` knows the remedies, `outlook`
looks at the data of a configuration, `display` prints. Only `examination` and `outlook` need TensorFlow.
"""
