"""The base of the Parquet, JSON Lines and CSV destinations: stage parts, then replace one manifest.

    <table>/manifest.json                  the visible parts, their columns and row counts
    <table>/<job>/part-00000.<ext>         a published part
    <table>/_staging/<job>/<batch>.parquet a staged batch, with typed columns

Publishing writes the job's parts from the committed batches, rewrites older parts that lack a
column, and replaces the manifest in one step. Replaced parts are removed afterwards: a reader that
uses the old manifest and does not find a part has to read the manifest again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import polars as pl

from apps.engine.contract import (
    CheckStep,
    DestinationSpec,
    FileMoved,
    OutputFile,
    StorageRoot,
    WriteMode,
)
from apps.engine.destinations import checking
from apps.engine.destinations.base import Batch, Destination, Publication, no_text_fields
from apps.engine.destinations.checking import Step, run_steps
from apps.engine.destinations.file_sets.bucket import open_store
from apps.engine.destinations.file_sets.config import BucketSettings
from apps.engine.destinations.file_sets.formats import FileFormat, file_schema, have_same_types
from apps.engine.destinations.file_sets.manifest import Manifest, Part, PublishedJob
from apps.engine.destinations.file_sets.reading import read_rows
from apps.engine.destinations.file_sets.staging import Staging
from apps.engine.destinations.names import valid_file_set, valid_key_part
from apps.engine.destinations.stored_rows import RowWindow, StoredRows
from apps.engine.failures import ConfigurationError, DestinationError
from apps.engine.frames.columns import NULL, STRING, Column, ColumnType, InexactCast, fit_frame
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable
from apps.engine.stores import Store, SwapConflict

# Attempts to replace the manifest while other pipelines publish to the same folder.
MAX_SWAP_ATTEMPTS = 10


class FilesDestination(Destination):
    """The base class of the file destinations. Subclasses define their settings and file format."""

    Format: ClassVar[type[FileFormat]]
    write_modes: ClassVar[tuple[WriteMode, ...]] = ("replace", "append")
    config: BucketSettings

    def __init__(
        self,
        config: BucketSettings,
        *,
        spec: DestinationSpec,
        job_id: str,
        data: StorageRoot,
        allow_private_networks: bool = False,
    ) -> None:
        super().__init__(
            config,
            spec=spec,
            job_id=job_id,
            data=data,
            allow_private_networks=allow_private_networks,
        )
        if spec.write_mode == "merge":
            raise ConfigurationError(
                "Files do not support the write mode merge: choose replace or append"
            )
        self._folder = valid_file_set(spec.table)
        self._job_folder = valid_key_part(job_id)
        self._manifest_key = self._store_key("manifest.json")
        self._format = self.make_format()
        self._opened_store: Store | None = None
        self._opened_staging: Staging | None = None

    def make_format(self) -> FileFormat:
        """Return the file format, configured by the settings."""
        return self.Format()

    def check(self) -> Iterator[CheckStep]:
        return run_steps(self._check_steps())

    def open(self, committed: Sequence[Batch]) -> None:
        self._staging.remove_abandoned_parts()
        self._staging.roll_back(committed if self._published_job() is None else ())

    def kept_types(self) -> Mapping[str, str]:
        if not self.type_system or self.spec.write_mode == "replace":
            return {}
        columns = self._read_manifest()[0].columns
        return {name: column.declared_type for name, column in columns.items()}

    def text_fields(self) -> Callable[[str], bool]:
        if self.spec.write_mode == "replace":
            return no_text_fields
        columns = self._read_manifest()[0].columns
        texts = {name for name, column in columns.items() if column.type is ColumnType.STRING}
        return texts.__contains__

    def stage(
        self, frame: pl.DataFrame, batch: Batch, native: NativeTable = NO_NATIVE_TYPES
    ) -> None:
        if frame.width:
            self._staging.add(frame, batch, native)

    def publish(self, committed: Sequence[Batch]) -> Publication:
        for _ in range(MAX_SWAP_ATTEMPTS):
            manifest, version = self._read_manifest()
            published_job = manifest.find_publication(self.job_id)
            if published_job is not None:
                self._clean_up(manifest, manifest)
                return self._describe_publication(published_job, manifest)
            try:
                next_manifest = self._next_manifest(manifest, committed)
                self._store.swap(self._manifest_key, next_manifest.to_bytes(), version)
            except SwapConflict:
                continue
            except FileNotFoundError as error:
                if self._published_job() is None:
                    raise DestinationError(
                        "Data that was staged for this sync is missing", evidence=(str(error),)
                    ) from error
                continue
            self._clean_up(manifest, next_manifest)
        raise DestinationError("Other pipelines keep publishing to this folder at the same time")

    def has_rows(self) -> bool:
        manifest = self._stored_manifest()
        return manifest is not None and any(part.rows for part in manifest.parts)

    def has_lost_table(self) -> bool:
        return self._stored_manifest() is None

    def has_published(self) -> bool:
        manifest = self._stored_manifest()
        return manifest is not None and manifest.find_publication(self.job_id) is not None

    def find_publication(self) -> Publication | None:
        manifest = self._stored_manifest()
        job = manifest.find_publication(self.job_id) if manifest else None
        return self._describe_publication(job, manifest) if job and manifest else None

    def abandon(self) -> None:
        self._staging.clear()
        manifest = self._stored_manifest()
        if manifest is None or manifest.find_publication(self.job_id) is None:
            # The parts of an interrupted publication are not visible.
            own_entries = self._store.entries(self._store_key(f"{self._job_folder}/"))
            self._store.delete([entry.key for entry in own_entries])

    def read_rows(self, window: RowWindow) -> StoredRows:
        manifest = self._stored_manifest()
        if manifest is not None and manifest.format != self._format.name:
            raise DestinationError(
                f"The folder contains {manifest.format} files now: run the pipeline"
            )
        return read_rows(self._store, self._folder, manifest, self._format, window)

    def close(self) -> None:
        if self._opened_store is not None:
            self._opened_store.close()

    # The store, staging and the current manifest.

    @property
    def _store(self) -> Store:
        if self._opened_store is None:
            self._opened_store = open_store(
                self.config, self.data, allow_private=self.allow_private_networks
            )
        return self._opened_store

    @property
    def _staging(self) -> Staging:
        if self._opened_staging is None:
            compression = self._format.staging_compression
            self._opened_staging = Staging(self._store, self._folder, self.job_id, compression)
        return self._opened_staging

    def _read_manifest(self) -> tuple[Manifest, str | None]:
        content_and_version = self._store.read_version(self._manifest_key)
        if content_and_version is None:
            return Manifest(self._format.name), None
        manifest, version = Manifest.from_bytes(content_and_version[0]), content_and_version[1]
        if manifest.format == self._format.name:
            return manifest, version
        if self.spec.write_mode == "append":
            raise ConfigurationError(
                f"The folder contains {manifest.format} files: choose another destination name"
            )
        return replace(manifest, format=self._format.name, columns={}), version

    def _stored_manifest(self) -> Manifest | None:
        """Return the manifest as it is stored, in any format."""
        content = self._store.read(self._manifest_key)
        return None if content is None else Manifest.from_bytes(content)

    def _published_job(self) -> PublishedJob | None:
        return self._read_manifest()[0].find_publication(self.job_id)

    # Prepare the next manifest.

    def _next_manifest(self, manifest: Manifest, committed: Sequence[Batch]) -> Manifest:
        """Write the parts of the next manifest. Raises FileNotFoundError if a staged part is missing."""
        if self.spec.protects_other_pipelines and manifest.has_rows_of_other_pipelines(
            self.data.prefix
        ):
            raise ConfigurationError(
                "Another pipeline has also written to this folder, and reading from the beginning would"
                " remove its rows: choose another destination name for this pipeline"
            )
        kept_parts = manifest.parts if self.spec.write_mode == "append" else ()
        columns = dict(manifest.columns) if kept_parts else {}
        for batch in committed:
            if batch.rows or self._store.size(self._staging.part_key(batch)):
                _widen_columns(columns, self._staging.read_columns(batch))
        columns = columns or dict(manifest.columns)  # An empty result keeps the previous columns.
        while True:
            try:
                older_parts = self._older_parts(manifest, kept_parts, columns)
                new_parts = self._new_parts(committed, columns, needs_part=not kept_parts)
            except InexactCast as error:
                columns[error.name] = STRING
                continue
            rows = sum(part.rows for part in new_parts)
            moved = {
                before.key: after.key
                for before, after in zip(kept_parts, older_parts, strict=True)
                if before.key != after.key
            }
            return manifest.with_publication(
                self.job_id, rows, new_parts, older_parts, columns, self.data.prefix, moved
            )

    def _new_parts(
        self, committed: Sequence[Batch], columns: Mapping[str, Column], *, needs_part: bool
    ) -> tuple[Part, ...]:
        """Write and return a part for each batch with rows.

        If no batch has rows and `needs_part` is set, the only part has the columns and no rows.
        """
        batches = [batch for batch in committed if batch.rows]
        if not batches and needs_part and columns:
            empty = pl.DataFrame(schema=file_schema(columns))
            return (self._write_part("part-00000", empty, columns, 0, self.job_id),)
        unchanged_keys = {
            self._staging.part_key(batch): self._part_key(f"part-{i:05}")
            for i, batch in enumerate(batches)
            if self._format.publishes_staged_parts
            and self._staging.has_target_columns(batch, columns)
        }
        self._store.copy([(staged, self._store_key(key)) for staged, key in unchanged_keys.items()])
        return tuple(
            self._describe_part(
                unchanged_keys[self._staging.part_key(batch)], batch.rows, self.job_id
            )
            if self._staging.part_key(batch) in unchanged_keys
            else self._convert_batch(f"part-{i:05}", batch, columns)
            for i, batch in enumerate(batches)
        )

    def _convert_batch(self, name: str, batch: Batch, columns: Mapping[str, Column]) -> Part:
        frame = fit_frame(self._staging.read_frame(batch), file_schema(columns))
        return self._write_part(name, frame, columns, batch.rows, self.job_id)

    def _older_parts(
        self, manifest: Manifest, kept_parts: tuple[Part, ...], columns: Mapping[str, Column]
    ) -> tuple[Part, ...]:
        """Return the kept parts. If the format needs the same columns in all parts, parts without them are rewritten."""
        if not self._format.needs_same_columns or have_same_types(manifest.columns, columns):
            return kept_parts
        return tuple(
            self._rewrite_part(f"older-{i:05}", part, manifest.columns, columns)
            for i, part in enumerate(kept_parts)
        )

    def _rewrite_part(
        self,
        name: str,
        part: Part,
        old_columns: Mapping[str, Column],
        columns: Mapping[str, Column],
    ) -> Part:
        content = self._store.path_or_bytes(self._store_key(part.key))
        frame = self._format.widen(content, old_columns, file_schema(columns))
        return self._write_part(name, frame, columns, part.rows, part.job, is_rewrite=True)

    def _write_part(
        self,
        name: str,
        frame: pl.DataFrame,
        columns: Mapping[str, Column],
        rows: int,
        job: str,
        *,
        is_rewrite: bool = False,
    ) -> Part:
        key = self._part_key(name)
        with self._store.sink(self._store_key(key)) as sink:
            self._format.write(frame, sink, columns, is_rewrite=is_rewrite)
        return self._describe_part(key, rows, job)

    def _describe_part(self, key: str, rows: int, job: str) -> Part:
        return Part(key, rows, self._store.size(self._store_key(key)) or 0, job)

    def _part_key(self, name: str) -> str:
        """Return the key relative to the manifest, as the manifest lists parts."""
        return f"{self._job_folder}/{name}.{self._format.extension}"

    def _store_key(self, key: str) -> str:
        return f"{self._folder}/{key}"

    # Clean up after the manifest was replaced.

    def _clean_up(self, old_manifest: Manifest, new_manifest: Manifest) -> None:
        """Remove the parts that are no longer visible, and the leftovers of interrupted clean-ups."""
        visible_keys = {part.key for part in new_manifest.parts}
        published_job = new_manifest.find_publication(self.job_id)
        replaced_keys = {part.key for part in old_manifest.parts} | set(
            published_job.moved if published_job else ()
        )
        self._store.delete(self._store_key(key) for key in replaced_keys - visible_keys)
        if self.spec.write_mode == "replace":
            self._store.delete(list(self._leftover_keys(new_manifest, visible_keys)))
        self._staging.clear()

    def _leftover_keys(self, manifest: Manifest, visible_keys: set[str]) -> Iterator[str]:
        published_jobs = {publication.job for publication in manifest.publications}
        for entry in self._store.entries(f"{self._folder}/"):
            key = entry.key.removeprefix(f"{self._folder}/")
            if key.split("/")[0] in published_jobs and key not in visible_keys:
                yield entry.key

    def _describe_publication(self, job: PublishedJob, manifest: Manifest) -> Publication:
        if self.config.bucket_url is not None:
            return Publication(job.rows)
        outputs = tuple(
            OutputFile(
                name=f"{self._folder}-{i:05}.{self._format.extension}",
                key=self._store.full_key(self._store_key(part.key)),
                bytes=part.bytes,
                rows=part.rows,
                media_type=self._format.media_type,
            )
            for i, part in enumerate(p for p in manifest.parts if p.job == job.job)
        )
        return Publication(
            job.rows, outputs, self._withdrawn_prefix(manifest), self._moved_files(job, manifest)
        )

    def _moved_files(self, job: PublishedJob, manifest: Manifest) -> tuple[FileMoved, ...]:
        sizes = {part.key: part.bytes for part in manifest.parts}
        return tuple(
            FileMoved(
                self._store.full_key(self._store_key(key)),
                self._store.full_key(self._store_key(new_key)),
                sizes[new_key],
            )
            for key, new_key in job.moved.items()
            if new_key in sizes
        )

    def _withdrawn_prefix(self, manifest: Manifest) -> str | None:
        """Return the prefix of our folder, or None if other jobs still have visible parts in it."""
        has_parts_of_other_jobs = any(part.job != self.job_id for part in manifest.parts)
        return None if has_parts_of_other_jobs else self._store.full_key(self._store_key(""))

    # The connection check.

    def _check_steps(self) -> Iterator[Step]:
        if self.config.bucket_url is not None:
            host, port = self.config.endpoint()
            allow_private = self.allow_private_networks
            yield "resolve", lambda: checking.resolve(host, port, allow_private=allow_private)
            yield "connect", lambda: checking.connect(host, port, allow_private=allow_private)
            yield "authenticate", self._list_bucket
        yield "write", self._write_and_remove

    def _list_bucket(self) -> str:
        next(self._store.entries(f"{self._folder}/"), None)
        return "The bucket can be listed"

    def _write_and_remove(self) -> str:
        key = self._store_key(f"_staging/check-{uuid.uuid4().hex}")
        self._store.write(key, b"Drover can write here\n")
        self._store.delete([key])
        return "A file was written and removed"


def _widen_columns(columns: dict[str, Column], other: Mapping[str, Column]) -> None:
    for name, column in other.items():
        columns[name] = columns.get(name, NULL).widen(column)
