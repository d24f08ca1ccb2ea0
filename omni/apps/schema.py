"""The whole schema: importing every table module puts it on the shared metadata, so none can be forgotten."""

from __future__ import annotations

import importlib
import pkgutil

from sqlalchemy import MetaData

import omni.domains
import omni.foundation
import omni.inference
from omni.foundation.db.base import metadata


def whole_schema() -> MetaData:
    """The metadata with the tables of every `tables` module below domains, foundation and inference."""
    for package in (omni.domains, omni.foundation, omni.inference):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if module.name.endswith(".tables"):
                importlib.import_module(module.name)
    return metadata
