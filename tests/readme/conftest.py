"""The README's apps, each served as the README says."""

from __future__ import annotations

import shutil

import pytest
from operator_session import Home
from readme_apps import APPS, Serve
from served import Server


@pytest.fixture
def serve(home: Home) -> Serve:
    """`serve(routes, sections="", more="", name="web")`: a server of the README's apps.

    In routes and sections {app} is the directory with all of them.
    """
    shutil.copytree(APPS, home.app, dirs_exist_ok=True)

    def serve(routes: str, **values: str) -> Server:
        return home.serve(values.pop("name", "web"), apps={"none.txt": ""}, routes=routes, **values)

    return serve


@pytest.fixture
def members(serve: Serve) -> list[Server]:
    """s1, s2 and s3.yourserver.com."""
    return [serve("/ = {app}/member", name=f"s{number}") for number in (1, 2, 3)]
