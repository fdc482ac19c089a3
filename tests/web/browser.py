"""Real servers on a place's own data, and a real browser looking at them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

MISSING = "no chromium and chromedriver here: install Debian's chromium and chromium-driver"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--force-color-profile=srgb",
)  # fmt: skip
_START = 120  # seconds that a server may take to answer
_SHOW = 60  # seconds that a page may take to show what is waited for


def available() -> bool:
    """Whether there is a browser to drive."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def prefect(environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """A Prefect server on the database in the environment's PREFECT_HOME; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    settings = {**environment, "PREFECT_UI_API_URL": f"http://127.0.0.1:{port}/api"}
    settings |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with _served(command, settings, folder, f"http://127.0.0.1:{port}", "/api/health"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def mlflow(store: str, environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """An MLflow server on a store; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    settings = {**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with _served(command, settings, folder, f"http://127.0.0.1:{port}", "/health"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def chromium(width: int = 1400, height: int = 1000) -> Iterator[webdriver.Chrome]:
    """A headless browser with a fresh profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*_FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def wait_for(driver: webdriver.Chrome, *texts: str) -> str:
    """Wait until the page shows all these texts; gives all that it shows."""
    return _wait(lambda: _shown(driver), lambda shown: all(text in shown for text in texts), texts)


def _shown(driver: webdriver.Chrome) -> str:
    return str(driver.find_element(By.TAG_NAME, "body").text)


def _wait(look: Callable[[], str], enough: Callable[[str], bool], wanted: tuple[str, ...]) -> str:
    end = time.monotonic() + _SHOW
    while True:
        shown = look()
        if enough(shown):
            return shown
        if time.monotonic() > end:
            raise AssertionError(f"waited {_SHOW} s for {wanted}; the page shows: {shown[:2000]}")
        time.sleep(0.5)


@contextmanager
def _served(
    command: list[str], environment: Mapping[str, str], folder: Path, address: str, health: str
) -> Iterator[None]:
    log = folder / f"{command[2]}-{address.rsplit(':', 1)[1]}.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, env=dict(environment), cwd=folder, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            _until_it_answers(f"{address}{health}", server, log)
            yield
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"the server did not answer at {url}: {log.read_text()[-2000:]}")
