"""Headless Chromium that reaches no network, for tests with the mark `browser`; conftest.py skips them without it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def chromium(url: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--window-size=1280,900",
            "--enable-logging=stderr",
            "--v=0",
            *options,
            url,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(profile)},
    )


def asked_for(log: Path) -> list[str]:
    """Return what the page itself requested: the browser's own requests have no page as initiator."""
    requests = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    urls = [params["url"] for params in requests if params.get("initiator", "not an origin") != "not an origin"]
    return sorted({url for url in urls if url.startswith("http")})
