"""Writes ``skeletonize_table.h`` from the table of the reference: ``python csrc/skeletonize_table.py > FILE``.

Each sub-iteration's half of the table becomes a binary decision diagram over the eight neighbours, that is a tree of
choices with shared branches; the orders of the neighbours below gave the fewest nodes of 3,000 that were drawn.
"""

from __future__ import annotations

from dislayers.skeletonize.reference import TABLE

NEIGHBOURS = ("NW", "N", "NE", "E", "SE", "S", "SW", "W")
ORDERS = {"first": (6, 2, 7, 3, 0, 5, 4, 1), "second": (1, 5, 6, 2, 0, 4, 7, 3)}


def ordered(half: list[bool], order: tuple[int, ...]) -> tuple[bool, ...]:
    """The half of the table indexed with the order's first neighbour as the highest bit."""
    places = [sum((i >> (7 - j) & 1) << bit for j, bit in enumerate(order)) for i in range(256)]
    return tuple(half[place] for place in places)


def choice(bit: int, yes: str, no: str) -> str:
    """C++ for ``yes`` where the neighbour is set and ``no`` elsewhere."""
    name = NEIGHBOURS[bit]
    short = {("1", "0"): name, ("0", "1"): f"~{name}"}
    if (yes, no) in short:
        return short[yes, no]
    if yes in "01":
        return f"{name} | {no}" if yes == "1" else f"~{name} & {no}"
    if no in "01":
        return f"~{name} | {yes}" if no == "1" else f"{name} & {yes}"
    return f"({name} & {yes}) | (~{name} & {no})"


def diagram(half: tuple[bool, ...], order: tuple[int, ...], lines: list[str], seen: dict[tuple[bool, ...], str]) -> str:
    """The name of the node that decides this part of the table; its line and those below it are appended."""
    if len(set(half)) == 1:
        return str(int(half[0]))
    no, yes = half[: len(half) // 2], half[len(half) // 2 :]
    if no == yes:
        return diagram(no, order[1:], lines, seen)
    if half not in seen:
        expression = choice(order[0], *(diagram(part, order[1:], lines, seen) for part in (yes, no)))
        seen[half] = f"n{len(lines)}"
        lines.append(f"    const T {seen[half]} = {expression};")
    return seen[half]


def header() -> str:
    """The whole file."""
    parts = [
        "// Made by skeletonize_table.py: which pixels a sub-iteration removes, by their neighbours, a bit a pixel.",
        "#pragma once\n",
        '#include "host_device.h"\n',
        "namespace dislayers {\nnamespace {\n",
    ]
    for bit, (name, order) in enumerate(ORDERS.items()):
        lines: list[str] = []
        root = diagram(ordered([bool(entry >> bit & 1) for entry in TABLE], order), order, lines, {})
        arguments = ", ".join(f"T {neighbour}" for neighbour in NEIGHBOURS)
        parts.append(f"template <typename T>\nHOST_DEVICE T removed_{name}({arguments}) {{")
        parts += [*lines, f"    return {root};\n}}\n"]
    return "\n".join([*parts, "}  // namespace\n}  // namespace dislayers\n"])


if __name__ == "__main__":
    print(header(), end="")
