"""What a page needs besides Python."""

from __future__ import annotations

import tomllib

from operator_session import CHECKOUT

from skitaid.workers.admin import templating


def test_templates_and_files_are_part_of_the_package() -> None:
    """What pyproject names as package data is all that there is, and all that is read."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["skitaid.workers.admin"]
    admin = CHECKOUT / "workers" / "admin"
    shipped = {path.name for pattern in patterns for path in admin.glob(pattern)}
    known = templating.environment().list_templates()
    assert shipped == {*known, *templating.FILES}
    other = {path.suffix for path in admin.rglob("*.*")} - {".html", ".css", ".js", ".svg"}
    assert other <= {".py", ".pyc"}


def test_every_template_compiles() -> None:
    """Mistakes are found here, not by an operator in trouble."""
    environment = templating.environment()
    for name in environment.list_templates():
        assert environment.get_template(name).name == name
