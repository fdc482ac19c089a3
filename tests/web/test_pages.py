"""What people see of a retraining, in a real browser on the real pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.conftest import Place
from tests.web import browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("warmed"),
    pytest.mark.skipif(not browser.available(), reason=browser.MISSING),
]
First = tuple[Place, dict[str, Any]]


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with browser.chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def prefect(first: First) -> Iterator[str]:
    place, _ = first
    with browser.prefect(place.environment, place.folder) as address:
        yield address


@pytest.fixture(scope="module")
def mlflow(first: First) -> Iterator[str]:
    place, _ = first
    with browser.mlflow(place.store, place.environment, place.folder) as address:
        yield address


def test_the_flow_run_can_be_followed(first: First, prefect: str, driver: webdriver.Chrome) -> None:
    _, outcome = first
    driver.get(f"{prefect}/runs/flow-run/{outcome['flow_run_id']}")
    shown = browser.wait_for(driver, "retrain reviews", "Completed", "registered version 1")
    assert "accuracy" in shown
    driver.get(f"{prefect}/artifacts")
    browser.wait_for(driver, "decision", "top-losses", "validation")


def test_the_decision_is_an_artifact(first: First, prefect: str, driver: webdriver.Chrome) -> None:
    place, outcome = first
    with sqlite3.connect(place.folder / "prefect" / "prefect.db") as database:
        (artifact,) = database.execute(
            "select id from artifact where key = 'decision' and flow_run_id = ?",
            [outcome["flow_run_id"]],
        ).fetchone()
    driver.get(f"{prefect}/artifacts/artifact/{artifact}")
    browser.wait_for(driver, "reviews version 1: promoted")
    link = driver.find_element(By.LINK_TEXT, "MLflow run")
    assert outcome["run_id"] in (link.get_attribute("href") or "")


def test_the_mlflow_run_shows_metrics_and_leads_back(
    first: First, mlflow: str, driver: webdriver.Chrome
) -> None:
    _, outcome = first
    experiment = outcome["run_url"].split("/experiments/")[1].split("/")[0]
    driver.get(f"{mlflow}/#/experiments/{experiment}/runs/{outcome['run_id']}")
    browser.wait_for(driver, "accuracy", "train_loss", "learning_rate")
    link = driver.find_element(By.LINK_TEXT, "Prefect run")
    assert outcome["flow_run_id"] in (link.get_attribute("href") or "")


def test_the_champion_stands_in_the_registry(
    first: First, mlflow: str, driver: webdriver.Chrome
) -> None:
    driver.get(f"{mlflow}/#/models/reviews")
    browser.wait_for(driver, "champion", "Version 1")


def test_the_report_reads_without_a_network(first: First, driver: webdriver.Chrome) -> None:
    place, outcome = first
    driver.get((place.folder / outcome["report"]).as_uri())
    browser.wait_for(driver, "reviews", "Accuracy")
    images = driver.find_elements(By.TAG_NAME, "img")
    assert images
    assert all(int(image.get_property("naturalWidth") or 0) > 0 for image in images)


def test_the_data_docs_read_without_a_network(first: First, driver: webdriver.Chrome) -> None:
    place, outcome = first
    page = (place.folder / outcome["report"]).parent / "data_docs" / "index.html"
    driver.get(page.as_uri())
    browser.wait_for(driver, "train", "test")
