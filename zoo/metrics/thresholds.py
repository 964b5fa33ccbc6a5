"""From where a latent unit counts as used: one pair of numbers for metrics, alarm and doctor; imports nothing."""

ACTIVE = 0.01
"""A unit is active if the variance of its mean over the data is greater (Burda et al. 2016, section 5)."""

FAINT = 0.1
"""A rate below so many nats is next to nothing: of an active unit, it is called faint."""
