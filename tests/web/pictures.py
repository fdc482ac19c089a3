"""Take the README's pictures of the last retraining made in this folder: `make pictures`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.web import browser

_FOLDER = Path("docs") / "images"
_SETTLE = 3.0  # seconds that charts take to draw after their text is there


def main() -> None:
    """Write docs/images/*.png."""
    if not browser.available():
        sys.exit(browser.MISSING)
    from incumbent.tracking.model_registry import Registry

    registry = Registry()
    champion = registry.by_alias("reviews", "champion")
    if champion is None or champion.run_id is None:
        sys.exit("no champion of `reviews` here: run `make retrain` first")
    flow_run = champion.tags["prefect.flow_run_id"]
    experiment = registry.client.get_run(champion.run_id).info.experiment_id
    here = Path.cwd()
    logs = here / ".incumbent"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        browser.chromium(1400, 1150) as driver,
        browser.prefect(dict(os.environ), logs) as prefect,
        browser.mlflow(registry.uri, dict(os.environ), logs) as mlflow,
    ):
        driver.get(f"{prefect}/runs/flow-run/{flow_run}")
        browser.wait_for(driver, "Completed", "registered version")
        _take(driver, "prefect-flow-run")
        driver.get(f"{mlflow}/#/experiments/{experiment}/runs/{champion.run_id}")
        browser.wait_for(driver, "calibration_error", "Prefect run")
        for button in driver.find_elements(By.CSS_SELECTOR, "button[aria-label='Close']"):
            button.click()  # the assistant's panel
        _take(driver, "mlflow-run")
        digest = champion.tags["incumbent.run_digest"]
        report = here / ".incumbent" / "runs" / digest[:16] / "report.html"
        driver.get(report.as_uri())
        browser.wait_for(driver, "Accuracy")
        _take(driver, "report")


def _take(driver: webdriver.Chrome, name: str) -> None:
    time.sleep(_SETTLE)
    path = _FOLDER / f"{name}.png"
    driver.save_screenshot(str(path))
    click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
