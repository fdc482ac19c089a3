"""Draw the wings from the imports, and write their part of docs/architecture.md: `make docs`.

The order of the wings is that of the layers contract in pyproject.toml, which `make lint` checks;
what each is for is the first line of its package; the stages are read from flows/retrain.py.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "architecture.png"
BEGIN, END = "<!-- made by `make docs` -->", "<!-- the end of what `make docs` made -->"


@dataclass(frozen=True)
class Wing:
    """A package of `incumbent`, or one of its few modules beside them; `imports` names others."""

    name: str
    about: str
    modules: tuple[str, ...]
    imports: frozenset[str]


@dataclass(frozen=True)
class Stage:
    """A stage of a retraining: the function of `tasks` that `flows/retrain.py` calls."""

    name: str
    about: str
    module: str
    wings: tuple[str, ...]


def wings(graph: grimp.ImportGraph) -> list[Wing]:
    """The wings, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c.get("containers") == ["incumbent"])
    names = [name.strip() for layer in layers for name in layer.split("|")]
    found = []
    for name in names:
        package = f"incumbent.{name}"
        own = {package, *graph.find_descendants(package)}
        used = {
            other for module in own for other in graph.find_modules_directly_imported_by(module)
        }
        found.append(
            Wing(
                name=name,
                about=_first_sentence(package),
                modules=tuple(sorted(m.rpartition(".")[2] for m in own - {package})),
                imports=frozenset(
                    other.split(".")[1]
                    for other in used
                    if other.startswith("incumbent.") and other.split(".")[1] != name
                ),
            )
        )
    return found


def stages(graph: grimp.ImportGraph, order: list[str]) -> list[Stage]:
    """The stages of a retraining in the order in which the flow names them."""
    tree = ast.parse((ROOT / "flows" / "retrain.py").read_text(encoding="utf-8"))
    home = {
        name.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tasks.")
        for name in node.names
    }
    called = [
        (node.lineno, node.func.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in home
        and home[node.func.id] == f"tasks.{node.func.id}"  # a stage's file has its name
    ]
    found = []
    for name in dict.fromkeys(name for _, name in sorted(called)):
        module = home[name]
        used = {
            other.split(".")[1]
            for other in graph.find_modules_directly_imported_by(module)
            if other.startswith("incumbent.")
        }
        shown = tuple(wing for wing in order if wing in used - {"config", "errors", "runtime"})
        found.append(Stage(name, _first_sentence(module), f"{module.replace('.', '/')}.py", shown))
    return found


def _first_sentence(module: str) -> str:
    """The first line of a module's docstring, without its full stop."""
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(doc.split("\n\n")[0].split()).removesuffix(".")


def block(found: list[Wing], way: list[Stage]) -> str:
    """The generated part of the page."""
    lines = [
        BEGIN, "",
        "| stage | what it does | its task | wings it calls |",
        "|---|---|---|---|",
        *(
            f"| {stage.name} | {stage.about} | [`{stage.module}`](../{stage.module}) "
            f"| {', '.join(f'`{wing}`' for wing in stage.wings)} |"
            for stage in way
        ),
        "",
        "| wing | what it is for | modules |",
        "|---|---|---|",
        *(
            f"| `{wing.name}` | {wing.about} | {', '.join(f'`{m}`' for m in wing.modules) or '–'} |"
            for wing in found
        ),
        "", END,
    ]  # fmt: skip
    return "\n".join(lines)


def _stable(found: list[Wing]) -> list[tuple[object, ...]]:
    return [(w.name, w.about, w.modules, sorted(w.imports)) for w in found]


def drawn_from(found: list[Wing], way: list[Stage]) -> str:
    """What the picture was drawn from, as a digest, which is kept in the picture."""
    return hashlib.sha256(repr((_stable(found), way)).encode()).hexdigest()


def draw(found: list[Wing], way: list[Stage], path: Path) -> None:
    """The way of the data over the wings that each stage calls, and who imports whom."""
    from incumbent.evaluation.figure_style import COLOURS, GRID, INK, MUTED, figure_of

    order = [wing.name for wing in found]
    figure = figure_of((15, 9.2))
    data, matrix = figure.subplots(1, 2, width_ratios=(5, 6))
    for axes, title in (
        (data, "The way of the data: each stage, and the wings it calls"),
        (matrix, "Who imports whom: a row imports the columns with a dot, all to its right"),
    ):
        axes.set_title(title, loc="left", color=INK, fontsize=12, fontweight="bold", pad=12)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=INK)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_yticks(range(len(order)), order)
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.xaxis.tick_top()
    for column, stage in enumerate(way):
        rows = [order.index(wing) for wing in stage.wings]
        data.plot([column] * len(rows), rows, "o", color=COLOURS[0], markersize=9)
        data.vlines(column, min(rows), max(rows), color=COLOURS[0], linewidth=2)
    data.set_xlim(-0.6, len(way) - 0.4)
    data.set_xticks(range(len(way)), [stage.name for stage in way], rotation=45, ha="left")
    for row, wing in enumerate(found):
        columns = [order.index(name) for name in wing.imports]
        matrix.plot(columns, [row] * len(columns), "o", color=COLOURS[2], markersize=8)
        matrix.plot(row, row, "s", color=MUTED, markersize=8)
    matrix.set_xlim(-0.6, len(order) - 0.4)
    matrix.set_xticks(range(len(order)), order, rotation=45, ha="left")
    figure.savefig(path, format="png", metadata={"Description": drawn_from(found, way)})


def page_with(text: str, made: str) -> str:
    """The page with its generated part replaced."""
    before, _, rest = text.partition(BEGIN)
    return before + made + rest.partition(END)[2]


def read() -> tuple[list[Wing], list[Stage]]:
    """The wings and the stages as the code has them now."""
    graph = grimp.build_graph("incumbent", "tasks", "flows", cache_dir=None)
    found = wings(graph)
    return found, stages(graph, [wing.name for wing in found])


def current(found: list[Wing], way: list[Stage]) -> bool:
    """Whether the page and the picture are made from what the code says now."""
    from PIL import Image

    page = PAGE.read_text(encoding="utf-8")
    with Image.open(PICTURE) as picture:
        drawn = picture.info["Description"]
    return page_with(page, block(found, way)) == page and drawn == drawn_from(found, way)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    now, stages_now = read()
    if "--check" in sys.argv:
        sys.exit(0 if current(now, stages_now) else f"{PAGE} is old: run `make docs`")
    PAGE.write_text(
        page_with(PAGE.read_text(encoding="utf-8"), block(now, stages_now)), encoding="utf-8"
    )
    draw(now, stages_now, PICTURE)
