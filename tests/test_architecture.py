"""The page about the house says what the code says, and no wing is crowded."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
REMEDY = "run `make docs`"


@pytest.fixture(scope="module")
def architecture() -> ModuleType:
    """The script docs/architecture.py."""
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["architecture"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_and_the_picture_are_those_of_the_imports(architecture: ModuleType) -> None:
    wings, stages = architecture.read()
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert architecture.page_with(page, architecture.block(wings, stages)) == page, REMEDY
    with Image.open(architecture.PICTURE) as picture:
        assert picture.info["Description"] == architecture.drawn_from(wings, stages), REMEDY


def test_a_wing_says_what_it_is_for_and_has_fourteen_modules_at_most(
    architecture: ModuleType,
) -> None:
    wings, _ = architecture.read()
    assert [wing.name for wing in wings if not wing.about] == []
    assert {wing.name: len(wing.modules) for wing in wings if len(wing.modules) > 14} == {}
