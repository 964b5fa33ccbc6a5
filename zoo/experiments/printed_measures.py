"""What papers print as mutual information, beside ours in the group `information`: docs/printed_information.md."""

from __future__ import annotations

import numpy as np

from zoo import metrics
from zoo.experiments.measures import Measured, Subject, mean_of

# Examples of a batch: of He et al. (2019) for images, and of the contrastive paper's test.
_WITHIN = 50
_COMPARED = 256


def printed_information(subject: Subject) -> dict[str, Measured]:
    """The estimate within batches, the self-comparison, and the rate less that.

    Where there are fewer examples than a batch has, they are one batch. A single one has no estimate within batches,
    and a model without the prior N(0, v·I) no rate in closed form.
    """
    loc, scale = subject.posteriors
    (n, dim), found = loc.shape, {}
    if n > 1:
        size = min(_WITHIN, n)
        terms = metrics.mutual_information_in_batches_by_example(loc, scale, size)
        note = f"in batches of {size}: cannot exceed log {size} = {np.log(size):.2f}"
        found["mutual_information_in_batches"] = mean_of(terms, "nats", note)
    size = min(_COMPARED, n)
    batches = metrics.self_comparison_by_batch(loc, scale, size)
    constant = dim / 2 * (1 - np.log(2))
    note = f"no information: {constant:.3f} for whatever codes of constant scale; in batches of {size}"
    compared = mean_of(batches, "nats", note)._replace(examples=len(batches) * size)
    found["self_comparison"] = compared
    if (variance := subject.model.prior_variance) is not None:
        rest = float(metrics.rate(loc, scale, variance).mean()) - compared.value
        note = "the rate less self_comparison: no divergence"
        found["rate_beyond_self_comparison"] = Measured(rest, "nats", n, note)
    return found
