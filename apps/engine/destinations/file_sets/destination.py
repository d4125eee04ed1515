"""The base of the Parquet, JSON Lines and CSV destinations: stage parts, then replace one manifest.

    <table>/manifest.json                  what is visible: parts, columns, rows
    <table>/<job>/part-00000.<ext>         a published part
    <table>/_staging/<job>/<batch>.parquet a staged batch, typed

Publishing writes the job's parts from the committed batches, rewrites older parts that lack a
column, and replaces the manifest in one step. Replaced parts are removed afterwards: a reader that
uses the old manifest and does not find a part has to read the manifest again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import polars as pl

from apps.engine.contract import CheckStep, DestinationSpec, OutputFile, StorageRoot, WriteMode
from apps.engine.destinations import checking
from apps.engine.destinations.base import Batch, Destination, Publication
from apps.engine.destinations.checking import Step, run_steps
from apps.engine.destinations.file_sets.bucket import open_store
from apps.engine.destinations.file_sets.config import BucketSettings
from apps.engine.destinations.file_sets.formats import FileFormat, physical
from apps.engine.destinations.file_sets.manifest import Manifest, Part, Published
from apps.engine.destinations.file_sets.staging import Staging
from apps.engine.destinations.names import file_set, key_part
from apps.engine.failures import ConfigurationError, DestinationError
from apps.engine.frames.columns import NULL, STRING, Column, InexactCast, fit_frame
from apps.engine.stores import Store, SwapConflict

SWAPS = 10  # attempts, if other pipelines publish to the same folder at the same time


class FilesDestination(Destination):
    """Subclasses define their settings and file format."""

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
        self._folder = file_set(spec.table)
        self._own = key_part(job_id)
        self._manifest_key = self._at("manifest.json")
        self._format = self.make_format()
        self._opened: Store | None = None
        self._staged: Staging | None = None

    def make_format(self) -> FileFormat:
        """Return the file format, configured by the settings."""
        return self.Format()

    def check(self) -> Iterator[CheckStep]:
        return run_steps(self._steps())

    def open(self, committed: Sequence[Batch]) -> None:
        self._staging.sweep()
        self._staging.roll_back(committed if self._published() is None else ())

    def stage(self, frame: pl.DataFrame, batch: Batch) -> None:
        if frame.width:
            self._staging.add(frame, batch)

    def publish(self, committed: Sequence[Batch]) -> Publication:
        for _ in range(SWAPS):
            manifest, version = self._read_manifest()
            done = manifest.publication(self.job_id)
            if done is not None:
                self._clean_up(manifest, manifest)
                return self._publication(done, manifest)
            try:
                new = self._next(manifest, committed)
                self._store.swap(self._manifest_key, new.to_bytes(), version)
            except SwapConflict:
                continue
            except FileNotFoundError as error:
                if self._published() is None:
                    raise DestinationError(
                        "Data that was staged for this sync is missing", evidence=(str(error),)
                    ) from error
                continue
            self._clean_up(manifest, new)
        raise DestinationError("Other pipelines keep publishing to this folder at the same time")

    def abandon(self) -> None:
        self._staging.clear()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    # The current manifest.

    @property
    def _store(self) -> Store:
        if self._opened is None:
            self._opened = open_store(
                self.config, self.data, allow_private=self.allow_private_networks
            )
        return self._opened

    @property
    def _staging(self) -> Staging:
        if self._staged is None:
            compression = self._format.staging_compression
            self._staged = Staging(self._store, self._folder, self.job_id, compression)
        return self._staged

    def _read_manifest(self) -> tuple[Manifest, str | None]:
        found = self._store.read_version(self._manifest_key)
        if found is None:
            return Manifest(self._format.name), None
        manifest, version = Manifest.from_bytes(found[0]), found[1]
        if manifest.format == self._format.name:
            return manifest, version
        if self.spec.write_mode == "append":
            raise ConfigurationError(
                f"The folder holds {manifest.format} files: choose another destination name"
            )
        return replace(manifest, format=self._format.name, columns={}), version

    def _published(self) -> Published | None:
        return self._read_manifest()[0].publication(self.job_id)

    # Prepare the next manifest.

    def _next(self, manifest: Manifest, committed: Sequence[Batch]) -> Manifest:
        """Write the parts of the next manifest. Raises FileNotFoundError if a staged part is missing."""
        if self.spec.spares_others and manifest.shows_others(self.data.prefix):
            raise ConfigurationError(
                "Another pipeline has also written to this folder, and reading from the beginning would"
                " remove its rows: choose another destination name for this pipeline"
            )
        kept = manifest.parts if self.spec.write_mode == "append" else ()
        columns = dict(manifest.columns) if kept else {}
        for batch in committed:
            if batch.rows or self._store.size(self._staging.key(batch)):
                _widen(columns, self._staging.columns(batch))
        columns = columns or dict(manifest.columns)  # An empty result keeps the previous columns.
        while True:
            try:
                older = self._older_parts(manifest, kept, columns)
                new = self._new_parts(committed, columns, empty=not kept)
            except InexactCast as error:
                columns[error.name] = STRING
                continue
            rows = sum(part.rows for part in new)
            return manifest.with_publication(
                self.job_id, rows, new, older, columns, self.data.prefix
            )

    def _new_parts(
        self, committed: Sequence[Batch], columns: Mapping[str, Column], *, empty: bool
    ) -> tuple[Part, ...]:
        """Return a part for each batch with rows.

        If there is none and `empty` is set, return one part with the columns only.
        """
        target = physical(columns)
        batches = [batch for batch in committed if batch.rows]
        if not batches and empty and columns:
            return (self._written("part-00000", pl.DataFrame(schema=target), 0, self.job_id),)
        finished = {
            self._staging.key(batch): self._key(f"part-{i:05}")
            for i, batch in enumerate(batches)
            if self._format.stages_itself and self._staging.is_finished(batch, target)
        }
        self._store.copy([(staged, self._at(key)) for staged, key in finished.items()])
        return tuple(
            self._made(finished[self._staging.key(batch)], batch.rows, self.job_id)
            if self._staging.key(batch) in finished
            else self._rendered(f"part-{i:05}", batch, target)
            for i, batch in enumerate(batches)
        )

    def _rendered(self, name: str, batch: Batch, target: pl.Schema) -> Part:
        frame = fit_frame(self._staging.frame(batch), target)
        return self._written(name, frame, batch.rows, self.job_id)

    def _older_parts(
        self, manifest: Manifest, kept: tuple[Part, ...], columns: Mapping[str, Column]
    ) -> tuple[Part, ...]:
        """Return the kept parts, rewritten under new keys if the columns were widened."""
        before, target = physical(manifest.columns), physical(columns)
        if not self._format.one_schema or list(before.items()) == list(target.items()):
            return kept
        return tuple(
            self._rewritten(f"older-{i:05}", part, list(before), target)
            for i, part in enumerate(kept)
        )

    def _rewritten(self, name: str, part: Part, before: list[str], target: pl.Schema) -> Part:
        frame = self._format.widened(self._store.readable(self._at(part.key)), before, target)
        return self._written(name, frame, part.rows, part.job, again=True)

    def _written(
        self, name: str, frame: pl.DataFrame, rows: int, job: str, *, again: bool = False
    ) -> Part:
        key = self._key(name)
        with self._store.sink(self._at(key)) as sink:
            self._format.write(frame, sink, again=again)
        return self._made(key, rows, job)

    def _made(self, key: str, rows: int, job: str) -> Part:
        return Part(key, rows, self._store.size(self._at(key)) or 0, job)

    def _key(self, name: str) -> str:
        """Return the key relative to the manifest, as the manifest lists parts."""
        return f"{self._own}/{name}.{self._format.extension}"

    def _at(self, key: str) -> str:
        return f"{self._folder}/{key}"

    # After the manifest was replaced.

    def _clean_up(self, before: Manifest, after: Manifest) -> None:
        """Remove the parts that are no longer visible, and leftovers of interrupted clean-ups."""
        visible = {part.key for part in after.parts}
        self._store.delete(self._at(part.key) for part in before.parts if part.key not in visible)
        if self.spec.write_mode == "replace":
            self._store.delete(list(self._leftovers(after, visible)))
        self._staging.clear()

    def _leftovers(self, manifest: Manifest, visible: set[str]) -> Iterator[str]:
        published = {done.job for done in manifest.publications}
        for entry in self._store.entries(f"{self._folder}/"):
            key = entry.key.removeprefix(f"{self._folder}/")
            if key.split("/")[0] in published and key not in visible:
                yield entry.key

    def _publication(self, done: Published, manifest: Manifest) -> Publication:
        if self.config.bucket_url is not None:
            return Publication(done.rows)
        outputs = tuple(
            OutputFile(
                name=f"{self._folder}-{i:05}.{self._format.extension}",
                key=self._store.full_key(self._at(part.key)),
                bytes=part.bytes,
                rows=part.rows,
                media_type=self._format.media_type,
            )
            for i, part in enumerate(done.parts)
        )
        return Publication(done.rows, outputs, self._withdrawn(manifest))

    def _withdrawn(self, manifest: Manifest) -> str | None:
        """Return the prefix of our folder, unless it still holds visible parts of other pipelines."""
        kept = any(not part.key.startswith(f"{self._own}/") for part in manifest.parts)
        return None if kept else self._store.full_key(self._at(""))

    # The connection check.

    def _steps(self) -> Iterator[Step]:
        if self.config.bucket_url is not None:
            host, port = self.config.endpoint()
            private = self.allow_private_networks
            yield "resolve", lambda: checking.resolve(host, port, allow_private=private)
            yield "connect", lambda: checking.connect(host, port, allow_private=private)
            yield "authenticate", self._look
        yield "write", self._write_and_remove

    def _look(self) -> str:
        next(self._store.entries(f"{self._folder}/"), None)
        return "The bucket can be listed"

    def _write_and_remove(self) -> str:
        key = self._at(f"_staging/check-{uuid.uuid4().hex}")
        self._store.write(key, b"Drover can write here\n")
        self._store.delete([key])
        return "A file was written and removed"


def _widen(columns: dict[str, Column], other: Mapping[str, Column]) -> None:
    for name, column in other.items():
        columns[name] = columns.get(name, NULL).widen(column)
