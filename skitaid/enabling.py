"""Enabling and disabling a server: a link in servers-enabled to a conf in servers-available.

    servers-enabled/NAME.conf -> ../servers-available/NAME.conf

Links are relative, so that a home can be moved. Only links are ever removed: a conf that stands
in servers-enabled itself may be the only copy.
"""

from __future__ import annotations

import os
from pathlib import Path

from skitaid.conf import load_server
from skitaid.errors import ConfNotFound, SkitaidError, did_you_mean
from skitaid.paths import Paths


def enable(paths: Paths, name: str) -> None:
    """Link the conf. Raises `SkitaidError`, and `ConfError` if it has mistakes."""
    name = _base(name)
    conf = paths.servers_available / f"{name}.conf"
    link = paths.servers_enabled / conf.name
    if not conf.is_file():
        hint = did_you_mean(name, paths.available())
        raise ConfNotFound(f"there is no {conf.name} in {paths.servers_available}{hint}")
    _refuse_what_is_there(link, conf)
    load_server(conf, paths.run_dir(name))
    try:
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(_target(link, conf))
    except OSError as error:
        raise SkitaidError(f"{link} cannot be made: {error.strerror}") from None


def disable(paths: Paths, name: str) -> None:
    """Remove the link; the conf stays in servers-available. Raises `SkitaidError`."""
    name = _base(name)
    link = paths.servers_enabled / f"{name}.conf"
    if link.is_symlink():
        _remove(link)
    elif link.exists():
        raise SkitaidError(
            f"{link} is not a link but the conf itself; move it to {paths.servers_available}"
            " to disable the server and keep it"
        )
    else:
        hint = did_you_mean(name, paths.enabled())
        raise ConfNotFound(f"{name} is not enabled: there is no {link}{hint}")


def _refuse_what_is_there(link: Path, conf: Path) -> None:
    name = conf.stem
    if link.is_symlink():
        if link.exists() and link.samefile(conf):
            raise SkitaidError(f"{name} is already enabled")
        target = os.readlink(link)
        raise SkitaidError(f"{link} is a link to {target}; skitaid disable {name} removes it")
    if link.exists():
        raise SkitaidError(f"{name} is already enabled: {link} is a conf itself and not a link")


def _target(link: Path, conf: Path) -> str:
    """Relative as the directories really are: either may be a link itself."""
    return os.path.relpath(conf.parent.resolve() / conf.name, link.parent.resolve())


def _remove(link: Path) -> None:
    try:
        link.unlink()
    except OSError as error:
        raise SkitaidError(f"{link} cannot be removed: {error.strerror}") from None


def _base(name: str) -> str:
    """NAME, also if it was written as a/NAME, e/NAME or NAME.conf."""
    return name.removeprefix("a/").removeprefix("e/").removesuffix(".conf")
