"""The alternative for the list of pipelines: FastAPI, async SQLAlchemy and asyncpg over the same tables.

This is the stack that Drover replaces, used in the common way: look-ups of token, user and membership, an ORM query
with joins, a count, and a response model. It connects as the owner of the tables, so it does not have the cost of
row-level security, which Drover has.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.dialects.postgresql import ARRAY, VARCHAR
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

engine = create_async_engine(os.environ["RIVAL_DATABASE_URL"], pool_size=10)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "identity_user"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    is_active: Mapped[bool]
    token_version: Mapped[int]


class Membership(Base):
    __tablename__ = "orgs_membership"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID]
    user_id: Mapped[UUID]
    role: Mapped[str]


class Domain(Base):
    __tablename__ = "orgs_domain"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]


class Schedule(Base):
    __tablename__ = "pipelines_schedule"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    pipeline_id: Mapped[UUID] = mapped_column(ForeignKey("pipelines_pipeline.id"))
    cron: Mapped[str]
    interval_seconds: Mapped[int | None]
    timezone: Mapped[str]
    overlap: Mapped[str]
    misfire: Mapped[str]
    jitter_seconds: Mapped[int]
    next_run_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    paused_note: Mapped[str]


class Pipeline(Base):
    __tablename__ = "pipelines_pipeline"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID]
    name: Mapped[str]
    description: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(VARCHAR))
    enabled: Mapped[bool]
    version: Mapped[int]
    source_kind: Mapped[str]
    destination_kind: Mapped[str]
    stream: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_run_id: Mapped[UUID | None]
    last_run_status: Mapped[str]
    last_run_finished_at: Mapped[datetime | None]
    last_run_records: Mapped[int | None]
    domain_id: Mapped[UUID | None] = mapped_column(ForeignKey("orgs_domain.id"))
    domain: Mapped[Domain | None] = relationship()
    schedule: Mapped[Schedule | None] = relationship(uselist=False)


class DomainOut(BaseModel):
    id: UUID
    name: str


class ScheduleOut(BaseModel):
    cron: str | None
    interval_seconds: int | None
    timezone: str
    overlap: str
    misfire: str
    jitter_seconds: int
    paused_at: datetime | None
    paused_note: str


class LastRunOut(BaseModel):
    id: UUID
    status: str
    finished_at: datetime | None
    records: int | None


class PipelineOut(BaseModel):
    id: UUID
    name: str
    description: str
    domain: DomainOut | None
    tags: list[str]
    enabled: bool
    source_kind: str
    destination_kind: str
    stream: str
    schedule: ScheduleOut | None
    next_run_at: datetime | None
    last_run: LastRunOut | None
    created_at: datetime
    updated_at: datetime


class PageOut(BaseModel):
    results: list[PipelineOut]
    count: int


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as current:
        yield current


Db = Annotated[AsyncSession, Depends(session)]


async def membership(db: Db, authorization: Annotated[str, Header()]) -> Membership:
    try:
        claims = jwt.decode(
            authorization.removeprefix("Bearer "), os.environ["RIVAL_JWT_KEY"], algorithms=["HS256"]
        )
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    user = await db.get(User, UUID(claims["sub"]))
    if user is None or not user.is_active or user.token_version != claims["tv"]:
        raise HTTPException(401)
    membership_row = await db.scalar(
        select(Membership).where(
            Membership.user_id == user.id, Membership.org_id == UUID(claims["org"])
        )
    )
    if membership_row is None:
        raise HTTPException(401)
    return membership_row


@app.get("/api/v1/pipelines", response_model=PageOut)
async def pipelines(
    db: Db, member: Annotated[Membership, Depends(membership)], limit: int = 50
) -> dict[str, Any]:
    is_in_org = Pipeline.org_id == member.org_id
    rows = await db.scalars(
        select(Pipeline)
        .where(is_in_org)
        .options(selectinload(Pipeline.domain), selectinload(Pipeline.schedule))
        .order_by(Pipeline.created_at.desc(), Pipeline.id.desc())
        .limit(limit)
    )
    count = await db.scalar(select(func.count()).select_from(Pipeline).where(is_in_org))
    return {"results": [pipeline_fields(row) for row in rows], "count": count}


def pipeline_fields(row: Pipeline) -> dict[str, Any]:
    schedule, domain = row.schedule, row.domain
    return {
        **{name: getattr(row, name) for name in ("id", "name", "description", "tags", "enabled")},
        **{name: getattr(row, name) for name in ("source_kind", "destination_kind", "stream")},
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "domain": {"id": domain.id, "name": domain.name} if domain else None,
        "schedule": {**vars(schedule), "cron": schedule.cron or None} if schedule else None,
        "next_run_at": schedule.next_run_at if schedule else None,
        "last_run": {
            "id": row.last_run_id,
            "status": row.last_run_status,
            "finished_at": row.last_run_finished_at,
            "records": row.last_run_records,
        }
        if row.last_run_id
        else None,
    }
