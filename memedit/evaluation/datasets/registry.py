"""All formats and all data sets that are known."""

from __future__ import annotations

from collections.abc import Mapping

from memedit.evaluation.datasets import (
    bilingual,
    counterfact,
    hallueditbench,
    knowedit,
    mquake,
    qaedit,
    rippleedits,
    unke,
    zsre,
)
from memedit.evaluation.datasets.info import DatasetInfo, Read

READERS: Mapping[str, Read] = {
    "counterfact": counterfact.read,
    "zsre": zsre.read,
    "knowedit": knowedit.read,
    "mquake": mquake.read,
    "rippleedits": rippleedits.read,
    "mzsre": bilingual.read,
    "bmike": bilingual.read_neighbours,
    "qaedit": qaedit.read,
    "hallueditbench": hallueditbench.read,
    "unke": unke.read,
}
FORMATS = tuple(READERS)
"""Names of the formats that `load_dataset` reads."""
BILINGUAL_FORMATS = ("mzsre", "bmike")
"""Those whose records are in several languages."""

_FAMILIES = (counterfact, zsre, knowedit, mquake, rippleedits, bilingual, qaedit, hallueditbench, unke)
DATASETS: Mapping[str, DatasetInfo] = {info.name: info for family in _FAMILIES for info in family.INFOS}
"""The data sets known by name."""
