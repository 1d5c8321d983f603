"""The pairs a run learns from and those it is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dismodels.data.cache import CachedPairs
from dismodels.data.folder import DataError, Pair, Progress, find_pairs, pairs_from
from dismodels.data.synthetic import SyntheticDataset
from dismodels.training.draws import Pairs, PairsInMemory
from dismodels.training.settings import TrainSettings

_HELD_OUT = 10
# Far from any seed a user picks, so that no validation picture is ever trained on.
_VALIDATION_SEED = 1 << 40


class Sets(NamedTuple):
    """Pairs to learn from, pairs to be judged on, and a line that says what they are."""

    training: Pairs
    validation: Pairs
    description: str


def training_sets(settings: TrainSettings, progress: Progress | None = None) -> Sets:
    """The sets that settings name, decoded and cached; or the synthetic ones.

    Args:
        settings: which data, at which size.
        progress: called with the number of pairs done and of all.

    Raises:
        DataError: folders are missing, pairs do not fit or files are bad; all of them are listed.
        CacheError: the cache could not be written.
    """
    if settings.synthetic:
        return _synthetic(settings, progress)
    training, validation, judged_on = _found(settings)
    cached: list[CachedPairs] = []
    problems: list[str] = []
    for pairs in (training, validation):
        try:
            cached.append(_cached(pairs, settings, progress))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError("pairs cannot be used", list(dict.fromkeys(problems)))
    description = f"{len(training)} pairs to train on, {len(validation)} to validate on ({judged_on})"
    return Sets(cached[0], cached[1], description)


def _synthetic(settings: TrainSettings, progress: Progress | None) -> Sets:
    held_out = max(8, settings.synthetic_pairs // 8)
    training = SyntheticDataset(settings.synthetic_pairs, settings.size, settings.seed)
    validation = SyntheticDataset(held_out, settings.size, settings.seed + _VALIDATION_SEED)
    description = (
        f"the built-in synthetic set: {len(training)} pairs to train on, {len(validation)} others to validate on"
    )
    if settings.workers:
        return Sets(training, validation, description)
    return Sets(PairsInMemory(training, progress), PairsInMemory(validation, progress), description)


def _found(settings: TrainSettings) -> tuple[list[Pair], list[Pair], str]:
    if settings.images is not None and settings.masks is not None:
        pairs, own = pairs_from(settings.images, settings.masks), []
    else:
        pairs = [pair for root in settings.data for pair in find_pairs(root, _subset(root, "DIS-TR"))]
        own = [root for root in settings.data if _subset(root, "DIS-VD")]
    if settings.validation:
        judged = [pair for root in settings.validation for pair in find_pairs(root, _subset(root, "DIS-VD"))]
        return pairs, judged, ", ".join(str(root) for root in settings.validation)
    if own:
        return pairs, [pair for root in own for pair in find_pairs(root, "DIS-VD")], "DIS-VD"
    return _split(pairs)


def _split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair], str]:
    if len(pairs) < 2:
        raise DataError("too few pairs", ["one pair cannot be split; name a --validation folder"])
    held_out = list(pairs[_HELD_OUT - 1 :: _HELD_OUT]) or [pairs[-1]]
    kept = [pair for pair in pairs if pair not in held_out]
    return kept, held_out, "held out of the training pairs"


def _subset(root: Path, name: str) -> str | None:
    return name if (root / name).is_dir() else None


def _cached(pairs: Sequence[Pair], settings: TrainSettings, progress: Progress | None) -> CachedPairs:
    return CachedPairs(
        pairs,
        settings.size,
        threshold=settings.mask_threshold,
        folder=settings.cache,
        workers=max(1, settings.workers),
        progress=progress,
    )
