"""`[routes:line]`: which directory, app or cluster answers below which prefix.

This is the one place that looks at what a target is. It is decided when the conf is read:
`@name` is a cluster, an existing directory holds static files, and anything else is an app,
a module with or without its `.py`. So a misspelt directory is found here and not by a visitor.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from skitaid.conf_clusters import Cluster
from skitaid.conf_lines import Entry, Section
from skitaid.errors import Complaints, did_you_mean
from skitaid.workers import settings as worker

_PREFIX = re.compile(r"/|(?:/[^/?#\s]+)+/?")


def read(
    section: Section, home: Path, clusters: Mapping[str, Cluster], complaints: Complaints
) -> tuple[worker.Route, ...]:
    """The routes in the order of the conf; whatever is wrong is complained about at its line.

    Relative targets start at `home`. `clusters` are those of the conf, by name without the @.
    """
    routes: list[worker.Route] = []
    seen: dict[tuple[str, str], int] = {}  # prefix and target, and the line of their first
    ends: dict[str, int] = {}  # prefix, and the line of the cluster that answers all below it
    for entry in section.entries:
        try:
            route = _route(entry, home, clusters, complaints.where(entry.line))
        except ValueError as error:
            complaints.add(entry.line, f"{entry.key}: {error}")
            continue
        base = entry.key.rstrip("/")
        first = seen.setdefault((base, _target(route)), entry.line)
        if first != entry.line:
            complaints.add(entry.line, f"{entry.key}: line {first} says the same; remove one")
        elif base in ends and not isinstance(route, worker.StaticRoute):
            message = f"the cluster in line {ends[base]} answers all below it; write this one first"
            complaints.add(entry.line, f"{entry.key}: {message}")
        if isinstance(route, worker.ClusterRoute):
            ends.setdefault(base, entry.line)
        routes.append(route)
    return tuple(routes)


def _target(route: worker.Route) -> str:
    match route:
        case worker.StaticRoute():
            return route.directory
        case worker.AppRoute():
            return route.file
        case worker.ClusterRoute():
            return f"@{route.cluster}"


def _route(entry: Entry, home: Path, clusters: Mapping[str, Cluster], where: str) -> worker.Route:
    prefix, target = entry.key, entry.value
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("a prefix is / or like /a/b, without blanks, ? and #")
    if not target:
        raise ValueError("there is no target; write a directory, a module or @cluster")
    if target.startswith("@"):
        return worker.ClusterRoute(prefix, _cluster(target[1:], clusters), where)
    path = os.path.abspath(home / target)
    if os.path.isdir(path):
        return worker.StaticRoute(prefix, path, where)
    return worker.AppRoute(prefix, _module(path), where)


def _cluster(name: str, clusters: Mapping[str, Cluster]) -> str:
    if name not in clusters:
        hint = did_you_mean(f"@{name}", [f"@{known}" for known in clusters])
        raise ValueError(f"there is no section [@{name}]{hint}")
    if isinstance(clusters[name], worker.DatabaseCluster):
        raise ValueError(f"@{name} is a postgresql cluster; only an http cluster can answer")
    return name


def _module(path: str) -> str:
    file = path if path.endswith(".py") else f"{path}.py"
    if os.path.isfile(file):
        return file
    if os.path.isfile(path):
        raise ValueError(f"{path} is a file, but neither a directory nor a module that ends in .py")
    directory, name = os.path.split(path)
    if not os.path.isdir(directory):
        missing = f"the directory {directory} does not exist"
        raise ValueError(f"{path} is neither a directory nor a module: {missing}")
    missing = f"{file} does not exist{did_you_mean(name, _targets(directory))}"
    raise ValueError(f"{path} is neither a directory nor a module: {missing}")


def _targets(directory: str) -> list[str]:
    """What a target in this directory may be called."""
    try:
        with os.scandir(directory) as entries:
            return [
                entry.name.removesuffix(".py")
                for entry in entries
                if entry.is_dir() or entry.name.endswith(".py")
            ]
    except PermissionError:  # no hint then; the complaint itself stands
        return []
