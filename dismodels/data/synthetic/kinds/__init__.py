"""The kinds of object, family by family, each drawn by one function on a `Sketch`."""

from collections.abc import Callable
from dataclasses import dataclass

from dismodels.data.synthetic.kinds import branches, cables, fences, lace, lattices, nets, solids, wheels
from dismodels.data.synthetic.sketch import Sketch


@dataclass(frozen=True)
class Kind:
    """A category of object.

    Attributes:
        group: name of its family, as DIS5K's groups.
        category: its own name.
        draw: draws one on a sketch, at the sketch's level.
        levels: the levels it can honestly be drawn at.
        upright: it stands on the ground, so it is turned by a few degrees only.
    """

    group: str
    category: str
    draw: Callable[[Sketch], None]
    levels: tuple[int, ...] = (1, 2, 3, 4)
    upright: bool = True


KINDS = (
    Kind("Wheel", "Wheel", wheels.wheel, upright=False),
    Kind("Wheel", "Bicycle", wheels.bicycle, (2, 3, 4)),
    Kind("Wheel", "FerrisWheel", wheels.ferris_wheel, (3, 4)),
    Kind("Fence", "Fence", fences.fence),
    Kind("Fence", "Gate", fences.gate, (2, 3, 4)),
    Kind("Fence", "Ladder", fences.ladder, (1, 2, 3)),
    Kind("Branch", "Tree", branches.tree, (2, 3, 4)),
    Kind("Branch", "Bonsai", branches.bonsai, (1, 2, 3, 4)),
    Kind("Branch", "Coral", branches.coral, (1, 2, 3), upright=False),
    Kind("Cable", "Cable", cables.cables, (1, 2, 3, 4), upright=False),
    Kind("Cable", "Tangle", cables.tangle, upright=False),
    Kind("Cable", "Knot", cables.knot, upright=False),
    Kind("Lattice", "Pylon", lattices.pylon, (2, 3, 4)),
    Kind("Lattice", "Bridge", lattices.bridge, (2, 3, 4)),
    Kind("Lattice", "Scaffold", lattices.scaffold, (2, 3, 4)),
    Kind("Lattice", "LampPost", lattices.lamp_post, (1,)),
    Kind("Mesh", "Net", nets.net, (3, 4), upright=False),
    Kind("Mesh", "Racket", nets.racket, (2, 3, 4), upright=False),
    Kind("Mesh", "Basket", nets.basket, (2, 3, 4)),
    Kind("Mesh", "Web", nets.web, (2, 3, 4), upright=False),
    Kind("Lace", "Panel", lace.panel, upright=False),
    Kind("Lace", "Doily", lace.doily, (2, 3, 4), upright=False),
    Kind("Lace", "Leaf", lace.leaf, (2, 3, 4), upright=False),
    Kind("Solid", "Chair", solids.chair, (1, 2, 3)),
    Kind("Solid", "Table", solids.table, (1, 2)),
    Kind("Solid", "Vase", solids.vase, (1, 2)),
    Kind("Solid", "Bag", solids.bag, (1, 2)),
    Kind("Solid", "Spectacles", solids.spectacles, (1,), upright=False),
    Kind("Solid", "Scissors", solids.scissors, (1,), upright=False),
)
