"""Columns of the printed tables: the values that papers print, how they are named, and which way is better."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Column(NamedTuple):
    """A value by its key, its titles in plain text and in LaTeX, its digits, and whether less is better."""

    key: str
    title: str
    latex: str
    digits: int = 3
    lower_is_better: bool = False

    def format(self, value: float) -> str:
        """Round as papers do."""
        return f"{value:.{self.digits}f}"

    def best(self, values: Iterable[float]) -> str:
        """The best of the values as printed: methods that print the same share the first place."""
        shown = [value for value in values if value == value]  # no NaN
        return self.format((min if self.lower_is_better else max)(shown)) if shown else ""


# The six of the DIS5K tables, and of each further metric one value, of masks cut at 128 where it has several.
PRINTED = (
    Column("max_f", "max F", r"$F_\beta^{mx}$"),
    Column("weighted_f", "weighted F", r"$F_\beta^w$"),
    Column("mae", "MAE", r"$M$", lower_is_better=True),
    Column("s", "S", r"$S_\alpha$"),
    Column("mean_e", "mean E", r"$E_\phi^m$"),
    Column("hce", "HCE", r"$HCE_\gamma$", digits=0, lower_is_better=True),
    Column("boundary_iou", "boundary IoU", "BIoU"),
    Column("max_boundary_iou", "max boundary IoU", "BIoU$^{mx}$"),
    Column("mean_boundary_accuracy", "mBA", "mBA"),
    Column("binary_iou", "IoU", "IoU"),
    Column("binary_dice", "Dice", "Dice"),
    Column("binary_precision", "precision", "Precision"),
    Column("binary_recall", "recall", "Recall"),
    Column("binary_specificity", "specificity", "Specificity"),
    Column("binary_fpr", "FPR", "FPR", lower_is_better=True),
    Column("binary_ber", "BER", "BER", lower_is_better=True),
    Column("binary_accuracy", "accuracy", "Accuracy"),
    Column("binary_kappa", "kappa", r"$\kappa$"),
    Column("mse", "MSE", "MSE", lower_is_better=True),
    Column("binary_multiscale_iou", "multiscale IoU", "MSIoU"),
    Column("context", "context", "CM"),
)


def printed_columns(values: Mapping[str, float]) -> list[Column]:
    """Columns that the values have."""
    return [column for column in PRINTED if column.key in values]


def chosen_column(key: str | None, columns: Sequence[Column]) -> Column:
    """The column of a key; without one that of the human correction effort, or the first.

    Raises:
        ValueError: no column has the key.
    """
    by_key = {column.key: column for column in columns}
    if key is None:
        return by_key.get("hce", columns[0])
    if key not in by_key:
        raise ValueError(f"worst_by: expected one of {', '.join(by_key)}, got {key!r}")
    return by_key[key]
