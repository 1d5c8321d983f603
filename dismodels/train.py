"""``python -m dismodels.train SYSTEM``: train a model on data, or with none on the built-in synthetic set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

try:
    import tyro

    from dismodels.training.isnet import ISNetSettings, train_isnet
    from dismodels.training.journal import Journal
    from dismodels.training.progressive import ProgressiveSettings, train_progressive
    from dismodels.training.run import Run, Trained, accelerator_of, check_output, keep_settings, saved_run
    from dismodels.training.saves import TrainingError
    from dismodels.training.sets import training_sets
    from dismodels.training.u2net import U2NetSettings, train_u2net
except ModuleNotFoundError as missing:  # an optional extra
    sys.exit(f"error: training needs {missing.name}; install it with: pip install 'dislayers[train]'")

from dismodels.training.settings import TrainSettings

SYSTEMS: dict[str, tuple[type[TrainSettings], Callable[[Run], Trained]]] = {
    "isnet": (ISNetSettings, train_isnet),
    "progressive": (ProgressiveSettings, train_progressive),
    "u2net": (U2NetSettings, train_u2net),
}

USAGE = (
    "usage: python -m dismodels.train SYSTEM [options]; SYSTEM is one of: {systems}; SYSTEM --help lists its options"
)

NO_DATA = """No --data: training a small network on the built-in synthetic set, to show that all works here.
For real data, with the paper's settings:  python -m dismodels.train {system} --data DIS5K --output runs/dis5k
(DIS5K holds DIS-TR/im, DIS-TR/gt, DIS-VD/im and DIS-VD/gt; any folder with im and gt does, or --images and --masks.)"""

DONE = """Weights: {weights}
Pictures (image, truth, prediction): {strip}
Segment images with them:  python -m dismodels.predict {model} --weights {weights} IMAGES... --output masks"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with status 1 and one message when the run cannot go on."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    systems = ", ".join(SYSTEMS)
    if not arguments or arguments[0] not in SYSTEMS:
        asked = arguments[:1] in (["-h"], ["--help"])
        print(USAGE.format(systems=systems), file=sys.stdout if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    try:
        train(arguments[0], arguments[1:])
    except (TrainingError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; --resume goes on from the latest saved state")


def train(system: str, arguments: list[str]) -> None:
    """Train a system as its command line says.

    Args:
        system: "isnet", "progressive" or "u2net".
        arguments: what stands after it on the command line.

    Raises:
        TrainingError: the loss is not finite, or the run's state could not be saved.
        ValueError: an option or the data cannot be used.
        OSError: files are missing or cannot be written.
    """
    settings = parse(system, arguments)
    settings.check()
    make_accelerator = accelerator_of(settings)
    accelerator = make_accelerator()
    if accelerator.is_main_process:
        check_output(system, settings)
    with Journal(settings.output, accelerator.is_main_process) as journal:
        if settings.synthetic and settings.wants_small:
            journal.say(NO_DATA.format(system=system))
        if not settings.wants_small and accelerator.device.type == "cpu":
            journal.say("No GPU: a run with the paper's settings takes months on a CPU; --preset small takes minutes.")
        with accelerator.main_process_first(), journal.preparing() as progress:
            sets = training_sets(settings, progress)
            if accelerator.is_main_process and not settings.resume:
                keep_settings(system, arguments, settings)
        journal.say(f"Data: {sets.description}; {settings.size}x{settings.size} pixels. Run: {settings.output}")
        model, weights = SYSTEMS[system][1](Run(settings, sets, journal, make_accelerator))
        journal.say(DONE.format(weights=weights, model=model, strip=weights.parent / "strip.png"))
    accelerator.end_training()


def parse(system: str, arguments: list[str]) -> TrainSettings:
    """The settings that a command line means: its options over the preset's, over a resumed run's own."""
    kind = SYSTEMS[system][0]
    program = f"python -m dismodels.train {system}"
    settings = tyro.cli(kind, prog=program, args=arguments)
    if settings.resume:
        saved = saved_run(system, settings.output)["arguments"]
        arguments = [*saved, *arguments]
        settings = tyro.cli(kind, prog=program, args=arguments)
    if settings.wants_small:
        settings = tyro.cli(kind, prog=program, args=arguments, default=kind().small())
    return settings


if __name__ == "__main__":
    main()
