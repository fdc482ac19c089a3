from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.cli import main


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["suspects"], 2, "Missing option '--out'"),
        (["suspects", "--out", "out.csv"], 2, "ends in .xlsx"),
        (["suspects", "--out", "nowhere/out.xlsx"], 2, "there is no folder nowhere"),
        (["suspects", "--out", "out.xlsx", "--count", "0"], 2, "0 is not in the range"),
        (["suspects", "--out", "out.xlsx", "--config", "gone.yaml"], 2, "gone.yaml"),
        (["suspects", "--out", "out.xlsx", "--set", "data.trian=x"], 2, "data.trian"),
        (["next", "--out", "out.xlsx"], 2, "Missing argument 'POOL'"),
        (["next", "pool.csv", "--out", "out.xlsx", "--model", "no name"], 2, "letters, digits"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    arguments: list[str], code: int, message: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["labels", *arguments])
    assert ended.value.code == code
    out, err = capfd.readouterr()
    assert message in err
    assert out == ""
    assert list(here.glob("*.xlsx")) == []
