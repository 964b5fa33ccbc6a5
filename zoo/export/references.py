"""Whom to cite: the papers of the methods, as BibTeX. Nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

VAE = """@inproceedings{kingma2014,
  title = {Auto-Encoding Variational {Bayes}},
  author = {Kingma, Diederik P. and Welling, Max},
  booktitle = {International Conference on Learning Representations},
  year = {2014},
  eprint = {1312.6114},
  archivePrefix = {arXiv}
}"""

BETA_VAE = """@inproceedings{higgins2017,
  title = {beta-{VAE}: Learning Basic Visual Concepts with a Constrained Variational Framework},
  author = {Higgins, Irina and Matthey, Loic and Pal, Arka and Burgess, Christopher and Glorot, Xavier and
            Botvinick, Matthew and Mohamed, Shakir and Lerchner, Alexander},
  booktitle = {International Conference on Learning Representations},
  year = {2017}
}"""

REFERENCES = {
    "vae": VAE,
    "contrastive": """@misc{lygerakis2023,
  title = {{CR-VAE}: Contrastive Regularization on Variational Autoencoders for Preventing Posterior Collapse},
  author = {Lygerakis, Fotios and Rueckert, Elmar},
  year = {2023},
  eprint = {2309.02968},
  archivePrefix = {arXiv}
}""",
    "consistency": """@inproceedings{sinha2021,
  title = {Consistency Regularization for Variational Auto-Encoders},
  author = {Sinha, Samarth and Dieng, Adji B.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2021},
  eprint = {2105.14859},
  archivePrefix = {arXiv}
}""",
    "triplet": """@inproceedings{schroff2015,
  title = {{FaceNet}: A Unified Embedding for Face Recognition and Clustering},
  author = {Schroff, Florian and Kalenichenko, Dmitry and Philbin, James},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year = {2015},
  eprint = {1503.03832},
  archivePrefix = {arXiv}
}""",
    "noise_contrastive": """@misc{ganea2019,
  title = {Noise Contrastive Variational Autoencoders},
  author = {Ganea, Octavian-Eugen and Annadani, Yashas and B{\\'e}cigneul, Gary},
  year = {2019},
  eprint = {1907.10430},
  archivePrefix = {arXiv}
}""",
    "critic": """@inproceedings{menon2022,
  title = {Forget-me-not! Contrastive Critics for Mitigating Posterior Collapse},
  author = {Menon, Sachit and Blei, David and Vondrick, Carl},
  booktitle = {Conference on Uncertainty in Artificial Intelligence},
  year = {2022},
  eprint = {2207.09535},
  archivePrefix = {arXiv}
}""",
    "auxiliary_softmax": """@misc{li2019,
  title = {Improve variational autoEncoder with auxiliary softmax multiclassifier},
  author = {Li, Yao},
  year = {2019},
  eprint = {1908.06966},
  archivePrefix = {arXiv}
}""",
    "iwae": """@inproceedings{burda2016,
  title = {Importance Weighted Autoencoders},
  author = {Burda, Yuri and Grosse, Roger and Salakhutdinov, Ruslan},
  booktitle = {International Conference on Learning Representations},
  year = {2016},
  eprint = {1509.00519},
  archivePrefix = {arXiv}
}""",
}


def bibtex(methods: Iterable[str], beta: Any = 1.0) -> str:
    """The papers of a combination of methods, with that of the β-VAE where β is not 1.

    Args:
        methods: by their names in configurations; of those from outside the zoo nothing is known.
        beta: the weight of the rate, a number or a schedule.
    """
    entries = [REFERENCES[name] for name in methods if name in REFERENCES]
    other = isinstance(beta, int | float) and beta != 1
    return "\n\n".join([*entries, *([BETA_VAE] if other and entries else [])])
