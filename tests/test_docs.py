"""The documentation against what it is about: commands, keys, deployments, formats, links."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from incumbent import errors
from incumbent.cli import config_reference, main
from incumbent.config import Config, ValidationConfig
from incumbent.operations import monitored_troubles, prefect_flow_runs, status
from incumbent.tables import file_formats, fsspec_files, table_writer
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
# How processes of incumbent find and tell each other something; nobody sets them.
OUR_OWN = {
    "INCUMBENT_DATA_TEST", "INCUMBENT_DATA_TRAIN", "INCUMBENT_SCRATCH", "INCUMBENT_UP",
    "INCUMBENT_SWEEP_STORAGE", "INCUMBENT_UP_PART",
}  # fmt: skip


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(
    group: click.Group = main.cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def options(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        for name in parameter.opts
        if isinstance(parameter, click.Option)
    }


def spans(text: str) -> list[str]:
    """What is set as code in a page: spans, and commands at a prompt in blocks."""
    blocks = re.findall(r"(?ms)^ *```.*?^ *```$", text)
    prose = re.sub(r"(?ms)^ *```.*?^ *```$", "", text)
    typed = [line for block in blocks for line in re.findall(r"(?m)^\$ (.*)$", block)]
    return [*(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)), *typed]


def called(span: str) -> tuple[tuple[str, ...], set[str]] | None:
    """The command and the options of a call of `incumbent`; None of anything else."""
    found = re.fullmatch(r"(?:\.venv/bin/)?incumbent ([^|#]+).*", span)
    if found is None:
        return None
    words = shlex.split(re.sub(r"[\[\]…]", " ", found[1]))
    path = [word for word in words if re.fullmatch("[a-z]+", word)]
    known = next((p for p in (tuple(path[:2]), tuple(path[:1])) if p in COMMANDS), tuple(path[:1]))
    return known, {word.partition("=")[0] for word in words if word.startswith("--")}


def in_table(text: str, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading, its header left out."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = re.search(r"(?m)(^\|.*\n)+", section)
    assert lines is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")]
            for line in lines[0].splitlines()[2:]]  # fmt: skip


# Commands.


def test_the_readme_lists_each_command_with_all_its_options() -> None:
    listed = dict(filter(None, (called(s) for row in in_table(README, "Commands")
                                for s in spans(row[0]))))  # fmt: skip
    assert listed == {path: options(command) for path, command in COMMANDS.items()}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_options_that_a_page_names_exist(page: Path) -> None:
    for span in spans(page.read_text(encoding="utf-8")):
        call = called(span)
        if call is None or call == ((), {"--version"}):
            continue
        path, given = call
        assert path in COMMANDS or path[0] in main.cli.commands, span
        if path in COMMANDS:
            assert given <= options(COMMANDS[path]) | {"--help"}, span


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_make_targets_that_a_page_names_exist(page: Path) -> None:
    targets = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text())
    asked = [found[1] for span in spans(page.read_text(encoding="utf-8"))
             if (found := re.match(r"make ([a-z]+)\b", span))]  # fmt: skip
    assert set(asked) <= set(targets)


def exit_codes(text: str) -> set[int]:
    """The numbers that begin a part of the list after `Exit codes:`."""
    (said,) = re.findall(r"Exit codes: (.*?)(?:\(`make`|\.?\s*$)", " ".join(text.split()))
    return {int(number) for number in re.findall(r"(?:^|; )(\d+) ", said)}


def test_exit_codes() -> None:
    tree = [e for _, e in inspect.getmembers(errors, inspect.isclass)
            if issubclass(e, errors.IncumbentError)]  # fmt: skip
    listed = re.findall(r"(?m)^[ │├└─]*(\w+) +(\d)\b|^ +(IncumbentError) ", errors.__doc__ or "")
    assert {(name, int(code)) for name, code, _ in listed if name} == {
        (error.__name__, error.exit_code) for error in tree if error is not errors.IncumbentError
    }
    # Done, ended by Python or by force, and by a signal.
    every = {0, 1, 130} | {error.exit_code for error in tree}
    paragraph = README.split("\nExit codes: ")[1].split("\n\n")[0]
    assert exit_codes(f"Exit codes: {paragraph}") == every
    assert exit_codes((main.cli.help or "").split("\b")[-1]) == every


# Configuration.


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_config_keys_that_a_page_names_exist(page: Path) -> None:
    sections: dict[str, Any] = {
        name: field.annotation
        for name, field in Config.model_fields.items()
        if hasattr(field.annotation, "model_fields")
    }
    pattern = rf"(?<![\w./-])({'|'.join(sections)})\.([a-z_]+)\b(?!\()"
    set_as_code = spans(page.read_text(encoding="utf-8"))
    unknown = [
        f"{section}.{key}"
        for span in set_as_code
        for section, key in re.findall(pattern, span)
        if key not in {*sections[section].model_fields, "py", "md"}
        if not (ROOT / "incumbent" / section / f"{key}.py").exists()  # a module of that wing
    ]
    # Without its section, as in `seeds: 3`; `active` is Prefect's.
    known = {key for section in sections.values() for key in section.model_fields} | {"active"}
    found = [re.match(r"([a-z_]+): ", span) for span in set_as_code]
    assert [*unknown, *(match[1] for match in found if match and match[1] not in known)] == []


def test_the_readme_says_which_findings_are_only_warnings() -> None:
    warned = {n for n, field in ValidationConfig.model_fields.items() if field.default == "warn"}
    (said,) = re.findall(r"(?s)What may mislead is only warned of: (.*?)\.\n", README)
    assert set(re.findall(r"validation\.(\w+)", said)) == warned


# Formats and places.


def extensions(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w*/])\.[a-z]\w+", text))


def test_every_format_that_is_read_is_listed() -> None:
    readable = {*file_formats.FORMATS, *file_formats.PACKED}
    (said,) = re.findall(r"(?s)which never changes\. Each is(.*?), at a local path", README)
    assert extensions(said) == readable
    (row,) = re.findall(r"(?m)^\| `train` \| text.*$", config_reference.render())
    assert extensions(row.split("fsspec URL (")[1].split(")")[0]) == readable


def test_every_format_that_is_written_is_listed() -> None:
    (row,) = [row for row in in_table(README, "Commands") if row[0].startswith("`incumbent score")]
    assert extensions(row[1]) == set(table_writer.FORMATS)
    said = (COMMANDS["score",].help or "").split("in the format of its extension:")[1]
    assert extensions(said.split("\n\n")[0]) == set(table_writer.FORMATS)


def test_there_is_one_way_to_install_the_client_of_a_place() -> None:
    said = {span for page in PAGES for span in spans(page.read_text(encoding="utf-8"))
            if "pip install" in span}  # fmt: skip
    assert said == {fsspec_files.INSTALL.format("s3")}


def test_a_text_has_the_same_answer_wherever_the_readme_shows_it() -> None:
    (printed,) = re.findall(r"^pos  \(neg ([\d.]+), pos ([\d.]+)\)  A gripping", README, re.M)
    (answered,) = re.findall(r"^# 0   pos +([\d.]+) +([\d.]+)$", README, re.M)
    assert printed == answered


# Deployments.


def flow(entrypoint: str) -> tuple[str, dict[str, str]]:
    """A flow's name, and its parameters with their defaults in code, without importing Prefect."""
    file, _, function = entrypoint.partition(":")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    (found,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    (name,) = [ast.literal_eval(keyword.value) for decorator in found.decorator_list
               if isinstance(decorator, ast.Call) for keyword in decorator.keywords
               if keyword.arg == "name"]  # fmt: skip
    arguments = [argument.arg for argument in found.args.args]
    defaults = [ast.unparse(default) for default in found.args.defaults]
    required = [""] * (len(arguments) - len(defaults))
    return name, dict(zip(arguments, [*required, *defaults], strict=True))


def test_the_deployments_that_ship_are_those_of_the_page() -> None:
    shipped = {}
    for one in DEPLOYMENTS:
        crons = [f"`{each['cron']}`" for each in one.get("schedules", [])]
        assert all(each["timezone"] == "UTC" for each in one.get("schedules", []))
        shipped[f"{flow(one['entrypoint'])[0]}/{one['name']}"] = ", ".join(crons) or "by hand"
    rows = in_table(OPERATIONS, "Schedules and runs by hand")
    assert {row[0].strip("`"): row[1] for row in rows} == shipped
    # What `incumbent status` prints, in the order of the names.
    (printed,) = re.findall(r"(?m)^  deployment +schedule +next run\n((?:  \w+/.*\n)+)", OPERATIONS)
    shown = [re.split(" {2,}", line.strip())[:2] for line in printed.splitlines()]
    assert shown == [
        [name, f"{cron.strip('`')} UTC"]
        for name, cron in sorted(shipped.items(), key=lambda item: item[0].partition("/")[2])
        if cron != "by hand"
    ]


@pytest.mark.parametrize("one", DEPLOYMENTS, ids=lambda one: one["name"])
def test_a_deployment_gives_its_flow_parameters_that_it_has(one: dict[str, Any]) -> None:
    given = one.get("parameters", {})
    assert set(given) <= set(flow(one["entrypoint"])[1])
    if "config" in given:
        Config.model_validate(given["config"])


def test_the_limits_of_the_monitor_are_its_parameters() -> None:
    (said,) = re.findall(r"(?s)Its limits are parameters(.*?)\. To have", OPERATIONS)
    listed = {name: float(number) for name, number in re.findall(r"`(\w+)` \((\d+)\)", said)}
    written = flow("flows/monitor.py:monitor")[1]
    values = {
        "status.MAX_AGE": status.MAX_AGE,
        "monitored_troubles.MIN_FREE": monitored_troubles.MIN_FREE,
        "prefect_flow_runs.MAX_HOURS": prefect_flow_runs.MAX_HOURS,
    }  # fmt: skip
    assert listed == {
        name: values[default] if default in values else float(default)
        for name, default in written.items()
    }


def test_the_nightly_deployment_has_the_half_life_that_is_advised() -> None:
    text = (DOCS / "promotion.md").read_text(encoding="utf-8")
    (advised,) = re.findall(r"(?m)^\| a contest every night.*`half_life: (\d+)` \|$", text)
    nightly = [one for one in DEPLOYMENTS for schedule in one.get("schedules", [])
               if schedule["slug"] == "nightly"]  # fmt: skip
    assert [c["parameters"]["config"]["promotion"]["half_life"] for c in nightly] == [int(advised)]


def test_the_notices_that_are_sent_are_those_of_the_page() -> None:
    given = yaml.safe_load((ROOT / "deployments" / "notices.yaml").read_text())["notices"]
    assert [row[0].strip("`") for row in in_table(OPERATIONS, "Notices")] == list(given)


# Environment variables.


def variables(*patterns: str) -> set[str]:
    texts = [f.read_text(encoding="utf-8") for p in patterns for f in ROOT.glob(p) if f.is_file()]
    return {name for text in texts for name in re.findall(r"\bINCUMBENT_[A-Z_]*[A-Z]\b", text)}


def test_environment_variables() -> None:
    explained = variables("README.md", "docs/*.md")
    read = variables("incumbent/**/*.py", "flows/*.py", "tasks/*.py", "deployments/notices.yaml")
    elsewhere = variables("benchmarks/*.py", "deployments/compose.yaml", "deployments/kubernetes/*")
    assert read - OUR_OWN <= explained
    assert explained <= read - OUR_OWN | elsewhere
    assert read >= OUR_OWN


# Files and links.


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_of_the_project_that_a_page_names_exist(page: Path) -> None:
    """From the root or, as the decisions shorten them, from `incumbent/`; not what runs make."""
    folders = "incumbent|tasks|flows|tests|benchmarks|configs|deployments|docs"
    wings = "|".join(wing.name for wing in (ROOT / "incumbent").iterdir() if wing.is_dir())
    gone = [
        span
        for span in spans(page.read_text(encoding="utf-8"))
        if re.fullmatch(rf"(?:{folders}|{wings})/[\w./-]+\.(?:py|yaml|md|json)", span)
        or re.fullmatch(r"\w+\.py", span)
        if not (ROOT / span).exists() and not (ROOT / "incumbent" / span).exists()
    ]
    assert gone == []


def anchors(page: Path) -> set[str]:
    """Those that GitHub makes of a page's headings."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"(?m)^#+ (.+)$", text)
    }


def links(page: Path) -> list[tuple[Path, str]]:
    """The relative links of a page: the file, and the anchor in it, if any."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    targets = [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"\w+:", t)]
    parted = [target.partition("#") for target in targets]
    return [((page.parent / file).resolve() if file else page, part) for file, _, part in parted]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [
        f"{file}#{anchor}"
        for file, anchor in links(page)
        if not file.exists() or (anchor and anchor not in anchors(file))
    ]
    assert broken == []


def test_the_index_lists_every_page() -> None:
    index = DOCS / "README.md"
    listed = {file for file, _ in links(index)}
    assert set(DOCS.rglob("*.md")) - {index} <= listed
    assert (index, "") in links(ROOT / "README.md")
