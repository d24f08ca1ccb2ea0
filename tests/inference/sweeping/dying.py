"""A process that stores a file and is killed before it commits the row: `python -m … DSN OBJECTS TENANT FILE`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from sqlalchemy import make_url

from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.files.repository import NewFile
from omni.inference.files.service import FileService


async def main(dsn: str, objects: str, tenant_id: UUID, file_id: UUID) -> None:
    database = Database(create_engine(make_url(dsn), "dying", PoolSettings(size=1)))
    new = NewFile(file_id, tenant_id, "left.txt", "user_data", 4, None)
    await FileService(database, ObjectStore(Path(objects).as_uri())).add(tenant_id, new, b"left", None)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], UUID(sys.argv[3]), UUID(sys.argv[4])))
