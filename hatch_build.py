"""The build hook of the package: sees to it that a wheel or sdist carries GraphiQL's built assets."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from types import ModuleType


class GraphiQLBuildHook(BuildHookInterface[BuilderConfig]):
    """Builds the assets unless they are current; an sdist carries them, so what is built from it needs no Node."""

    def dependencies(self) -> list[str]:
        """Return what brings Node, if the assets are to be built and there is none."""
        build = self._load_build()
        return [] if build.is_current() or build.find_node() else [build.NODE_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build the assets, except for an editable install: there it is a step of its own (``make graphiql``)."""
        if version != "editable":
            self._load_build().build(report=lambda line: print(f"graphiql: {line}", file=sys.stderr, flush=True))  # noqa: T201

    def _load_build(self) -> ModuleType:
        """Load the module by its path: the package isn't installed yet."""
        name = "userline_graphiql_build"
        if name not in sys.modules:
            path = Path(self.root, "gateway", "graphiql", "build.py")
            specification = importlib.util.spec_from_file_location(name, path)
            if specification is None or specification.loader is None:
                raise ImportError(f"{path} cannot be loaded.")
            module = importlib.util.module_from_spec(specification)
            sys.modules[name] = module  # where dataclasses look for it
            specification.loader.exec_module(module)
        return sys.modules[name]
