"""The subsets of an evaluation, found in the folders of the predictions and of the ground truths."""

from collections.abc import Sequence
from pathlib import Path

from dismetrics.files import SUFFIXES, ImageFileError, Match, list_images, match_by_stem, read_size, shortened

WHOLE = "all"
# Method -> subset -> files.
Methods = dict[str, dict[str, list[Match]]]


def find_methods(preds: Sequence[Path], gt: Path) -> Methods:
    """Match the predictions of several methods with one folder of ground truths.

    Only the subsets that all methods have are taken, so that methods are compared on the same images.

    Args:
        preds: a folder a method, which is named by the end of its path that tells the folders apart.
        gt: folder of ground truths.

    Returns:
        method -> subset -> matches, those of a subset with the same truths for every method.

    Raises:
        FileNotFoundError, NotADirectoryError, ValueError: as `find_subsets`.
        ValueError: a folder comes twice, or there is no subset that all methods have.
    """
    methods = {name: find_subsets(pred, gt) for name, pred in _folder_names(preds).items()}
    shared = set.intersection(*map(set, methods.values()))
    if not shared:
        raise ValueError(f"{', '.join(methods)}: nothing to compare, expected a subset that all of these have")
    return {
        method: {subset: matches for subset, matches in subsets.items() if subset in shared}
        for method, subsets in methods.items()
    }


def _folder_names(folders: Sequence[Path]) -> dict[str, Path]:
    paths = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, paths)) + 1):
        names = {"/".join(path[-count:]): folder for path, folder in zip(paths, folders, strict=True)}
        if len(names) == len(folders):
            return names
    raise ValueError(f"{', '.join(map(str, folders))}: expected different folders to compare, got one twice")


def find_subsets(pred: Path, gt: Path) -> dict[str, list[Match]]:
    """Match the files of two folders, or of their subfolders of the same names.

    A set of images is a folder that holds them, or that holds them in its subfolder `gt`, as those of DIS5K do
    (DIS-TE1/gt beside DIS-TE1/im); on the predictions' side any single subfolder will do. If `gt` is no set itself, its
    subfolders are, and those that `pred` has too are taken. In a set, every ground truth needs a prediction of
    the same stem and size; predictions without a ground truth are ignored.

    Args:
        pred: folder of predictions.
        gt: folder of ground truths.

    Returns:
        subset -> matches; the only subset's name is "all" if there are no subfolders.

    Raises:
        FileNotFoundError, NotADirectoryError: a folder is missing.
        ValueError: no set was found; or all that is wrong with the files, one a line, as seen without decoding.
    """
    for folder in (pred, gt):
        if not folder.is_dir():
            raise (NotADirectoryError if folder.exists() else FileNotFoundError)(f"{folder}: expected a folder")
    pairs = _folder_pairs(pred, gt)
    subsets: dict[str, list[Match]] = {}
    problems: list[str] = []
    for name, (predictions, truths) in pairs.items():
        try:
            subsets[name] = match_by_stem(predictions, truths)
        except ValueError as error:
            problems.append(str(error))
        else:
            problems += filter(None, map(_size_problem, subsets[name]))
    if problems:
        raise ValueError(shortened(problems, "\n"))
    return subsets


def find_masks(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """List the masks of folders, or of the subfolders of one folder.

    What a set of images is says `find_subsets`.

    Args:
        folders: sets, named by the ends of their paths that tell them apart; or one folder whose subfolders are sets.

    Returns:
        subset -> files, sorted by name; a single set's name is "all".

    Raises:
        FileNotFoundError, NotADirectoryError, ValueError: as `list_images`, for a folder that is no set.
        ValueError: a folder comes twice.
    """
    if len(folders) == 1 and (single := _set_folder(folders[0])):
        return {WHOLE: list(list_images(single).values())}
    if len(folders) == 1 and folders[0].is_dir():
        folders = [folders[0] / name for name in subset_folders(folders[0])] or folders
    named = _folder_names(folders)
    return {name: list(list_images(_set_folder(folder) or folder).values()) for name, folder in named.items()}


def subset_folders(folder: Path) -> list[str]:
    """Names of the subfolders that hold images, themselves or in a folder `gt`, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _set_folder(path))


def _folder_pairs(pred: Path, gt: Path) -> dict[str, tuple[Path, Path]]:
    if truths := _set_folder(gt):
        return {WHOLE: (_prediction_folder(pred), truths)}
    names = subset_folders(gt)
    shared = [name for name in names if (pred / name).is_dir()]
    if not shared:
        wanted = f"subfolders like those of {gt}: {', '.join(names)}" if names else f"images in {gt} or its subfolders"
        raise ValueError(f"{pred} and {gt}: nothing to compare, expected {wanted}")
    return {name: (_prediction_folder(pred / name), _set_folder(gt / name) or gt / name) for name in shared}


def _set_folder(folder: Path) -> Path | None:
    return next((path for path in (folder, folder / "gt") if _holds_images(path)), None)


def _prediction_folder(folder: Path) -> Path:
    if found := _set_folder(folder):
        return found
    inner = [path for path in folder.iterdir() if _holds_images(path)]
    return inner[0] if len(inner) == 1 else folder


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _size_problem(match: Match) -> str | None:
    try:
        (height, width), (true_height, true_width) = read_size(match.first), read_size(match.second)
    except ImageFileError as error:
        return str(error)
    if (height, width) == (true_height, true_width):
        return None
    return (
        f"{match.first} is {width} x {height}, its ground truth {match.second} is {true_width} x {true_height} "
        "(width x height): expected one size"
    )
