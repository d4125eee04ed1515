"""Read a topic page by page, up to the offsets at which it ended when the run began.

bizon 0.6.4 stores the offset of only one partition per page, so it would read the other partitions again. It also
treats a page whose messages are all skipped as the end. So bizon only decodes the messages, and this module reads them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from bizon.connectors.sources.kafka.src.source import KafkaSource
from bizon.source.models import SourceIncrementalState
from bizon.source.source import AbstractSource
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from apps.egress.policy import check_host
from apps.engine.contract import CheckStep, FieldInfo, StreamInfo
from apps.engine.failures import (
    RESET_STREAM,
    AuthenticationError,
    ConfigurationError,
    EngineError,
    SourceError,
)
from apps.engine.frames.left_out import LeftOutRecords
from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.connector import Pagination, SourcePage, rows_page, run_checks
from apps.engine.sources.http import host_checks
from apps.engine.sources.http.responses import PermanentSourceError
from apps.engine.sources.kafka.config import Config
from apps.json import JsonValue

REFUSED_USER_CODES = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
POLL_SECONDS = 0.2  # seconds to wait for a full batch
MAX_TIMEOUTS = (
    3  # number of timeouts without a message after which the brokers count as not responding
)

Offsets = dict[str, int]  # partition (as text, because JSON has no integer keys) -> offset


class Decoder(KafkaSource):
    """bizon's source, with a consumer that has our settings. It only decodes messages."""

    def __init__(self, config: Any) -> None:
        AbstractSource.__init__(self, config)
        self.config = config
        self.topic_map = {topic.name: topic.destination_id for topic in config.topics}
        self.consumer = Consumer(dict(config.consumer_config))


class KafkaTopicSource(BizonSource[Config]):
    """Reads one topic, which is the stream."""

    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = Decoder
    incremental: ClassVar[bool] = True
    pages_never_change: ClassVar[bool] = True  # a token has offsets, and messages are never changed
    _position: Offsets | None = None  # the offsets at which the consumer continues

    @classmethod
    def streams(cls) -> list[str]:
        return []

    def check(self) -> Iterator[CheckStep]:
        allow_private, timeout = self.allow_private_networks, float(self.settings.consumer_timeout)
        host, port = self._parse_servers()[0]
        return run_checks(
            [
                *host_checks.steps(host, port, allow_private=allow_private, timeout=timeout),
                ("authenticate", self._check_topics),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        fields = tuple(
            FieldInfo(name, field_type, nullable=False)
            for name, field_type in (
                ("topic", "string"),
                ("partition", "integer"),
                ("offset", "integer"),
                ("timestamp", "integer"),
                ("keys", "json"),
                ("headers", "json"),
                ("value", "json"),
                ("schema", "json"),
            )
        )
        return [
            StreamInfo(
                name,
                fields,
                primary_key=("partition", "offset"),
                sync_modes=("full_refresh", "incremental"),
            )
            for name in sorted(self._list_topics())
            if not name.startswith("__")
        ]

    def get_total_records_count(self) -> int | None:
        first_offsets, end_offsets = self._offset_bounds()
        return sum(end_offsets.values()) - sum(first_offsets.values()) or None

    @property
    def records_per_request(self) -> int:
        return self.settings.batch_size

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._read_topic(pagination or {}, {})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._read_topic(pagination or {}, source_state.state.get("offsets", {}))

    def close(self) -> None:
        if "bizon_source" in self.__dict__:
            self._consumer.close()
        super().close()

    def bizon_settings(self) -> dict[str, JsonValue]:
        settings = self.settings
        registry = settings.schema_registry
        auth: dict[str, Any] = {"type": "basic", "params": {"username": "none", "password": ""}}
        if registry is not None:
            auth |= {
                "schema_registry_url": registry.url.rstrip("/"),
                "schema_registry_username": registry.username,
                "schema_registry_password": registry.password,
            }
        skip_settings = {name for name in Config.model_fields if name.startswith("skip_")}
        return {
            **settings.model_dump(
                include=skip_settings | {"bootstrap_servers", "message_encoding"}
            ),
            "topics": [{"name": self.spec.stream, "destination_id": self.spec.stream}],
            "authentication": auth,
            "consumer_config": self._consumer_config(),
        }

    def _consumer_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "bootstrap.servers": self.settings.bootstrap_servers,
            "group.id": self.settings.group_id,
            "security.protocol": self.settings.security_protocol,
            "auto.offset.reset": "error",  # Detect gaps instead of skipping them.
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "log_level": 3,
        }
        login = self.settings.authentication
        if self.settings.security_protocol.startswith("SASL"):
            if login is None:
                raise ConfigurationError(
                    f"{self.settings.security_protocol} needs `authentication`"
                )
            config |= {
                "sasl.mechanisms": login.mechanism,
                "sasl.username": login.params.username,
                "sasl.password": login.params.password,
            }
        return config

    def _bizon_config(self) -> Any:
        for host, port in self._parse_servers():
            check_host(host, port, allow_private=self.allow_private_networks)
        return super()._bizon_config()

    def _read_topic(self, token: Mapping[str, Any], start_offsets: Mapping[str, int]) -> SourcePage:
        if token:
            current_offsets, end_offsets = dict(token["reached"]), dict(token["last"])
        else:
            current_offsets, end_offsets = self._offset_bounds()
            require_same_topic(start_offsets, end_offsets)
            current_offsets |= {
                partition: start_offsets[partition]
                for partition in current_offsets
                if partition in start_offsets
            }
        messages = self._consume(current_offsets, end_offsets)
        rows = self._call(lambda: self._decode_messages(messages))
        left_out = skipped_messages(messages, rows)
        if all(current_offsets[partition] >= end_offsets[partition] for partition in end_offsets):
            return rows_page(rows, {}, {"offsets": current_offsets}, left_out)
        next_token = {"reached": current_offsets, "last": end_offsets}
        return rows_page(rows, next_token, left_out=left_out)

    def _consume(self, current_offsets: Offsets, end_offsets: Offsets) -> list[Message]:
        """Return messages from the `current_offsets` on, and advance these offsets.

        The list is empty only if no messages remain before the `end_offsets`.
        """
        topic = self.spec.stream
        unfinished_partitions = [
            partition
            for partition in end_offsets
            if current_offsets[partition] < end_offsets[partition]
        ]
        self._seek({partition: current_offsets[partition] for partition in unfinished_partitions})
        messages: list[Message] = []
        deadline = time.monotonic() + MAX_TIMEOUTS * self.settings.consumer_timeout
        while not messages and any(
            current_offsets[partition] < end_offsets[partition]
            for partition in unfinished_partitions
        ):
            for message in self._consumer.consume(self.settings.batch_size, timeout=POLL_SECONDS):
                if self._advance(message, current_offsets, end_offsets):
                    messages.append(message)
            if not messages and time.monotonic() > deadline:
                raise SourceError(
                    "the brokers did not respond in time",
                    evidence=(f"topic {topic}, offsets {current_offsets}"[:300],),
                )
        self._position = {
            partition: current_offsets[partition] for partition in unfinished_partitions
        }
        return messages

    def _seek(self, offsets: Offsets) -> None:
        """Seek to the offsets.

        Does nothing if the consumer is already at these offsets, because a new assignment drops prefetched messages.
        """
        if offsets != self._position:
            self._consumer.assign(
                [
                    TopicPartition(self.spec.stream, int(partition), offset)
                    for partition, offset in offsets.items()
                ]
            )
        self._position = None  # unknown until the page is complete

    def _advance(self, message: Message, current_offsets: Offsets, end_offsets: Offsets) -> bool:
        """Advance the offset of the message's partition. Returns whether the message belongs to the page."""
        partition = str(message.partition())
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            # Messages missing before the end offset were compacted away, or are not committed yet. The next run
            # reads messages that are committed later.
            end_offsets[partition] = min(end_offsets[partition], _require_offset(message))
            current_offsets[partition] = max(current_offsets[partition], end_offsets[partition])
            return False
        if error is not None:
            raise convert_error(error)
        offset = _require_offset(message)
        current_offsets[partition] = min(offset + 1, end_offsets[partition])
        return offset < end_offsets[partition]

    def _decode_messages(self, messages: list[Message]) -> list[dict[str, Any]]:
        return [record.data for record in self._decoder.parse_encoded_messages(messages)]

    def _offset_bounds(self) -> tuple[Offsets, Offsets]:
        """Return the first offset of each partition, and the offset after its last message."""
        topic = self.spec.stream
        partitions = self._list_topics().get(topic)
        if partitions is None:
            raise ConfigurationError(f"there is no topic {topic!r}")
        first_offsets: Offsets = {}
        end_offsets: Offsets = {}
        for partition in partitions:
            low, high = self._call_kafka(
                lambda partition=partition: self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=self.settings.consumer_timeout
                )
            )
            first_offsets[str(partition)], end_offsets[str(partition)] = int(low), int(high)
        return first_offsets, end_offsets

    def _list_topics(self) -> dict[str, list[int]]:
        """Return the partitions by topic.

        Raises if the brokers announce addresses that the egress policy forbids.
        """
        metadata = self._call_kafka(
            lambda: self._consumer.list_topics(timeout=self.settings.consumer_timeout)
        )
        for broker in metadata.brokers.values():
            check_host(broker.host, broker.port, allow_private=self.allow_private_networks)
        return {name: sorted(topic.partitions) for name, topic in metadata.topics.items()}

    def _check_topics(self) -> str:
        return f"{len(self._list_topics()):,} topics to read"

    def _call_kafka(self, function: Any) -> Any:
        try:
            return function()
        except KafkaException as error:
            raise convert_error(error.args[0]) from error

    def _parse_servers(self) -> list[tuple[str, int]]:
        servers = (server.rpartition(":") for server in self.settings.bootstrap_servers.split(","))
        return [(host, int(port)) for host, _, port in servers]

    @property
    def _decoder(self) -> Any:
        return self.bizon_source

    @property
    def _consumer(self) -> Any:
        return self._decoder.consumer


def require_same_topic(start_offsets: Mapping[str, int], end_offsets: Offsets) -> None:
    """Raise PermanentSourceError if the topic ends before an offset that an earlier sync has reached.

    It was then deleted and created again, or lost messages, so its offsets mean other messages.
    """
    lost = {
        partition: offset
        for partition, offset in start_offsets.items()
        if offset > end_offsets.get(partition, 0)
    }
    if lost:
        partition, offset = next(iter(lost.items()))
        raise PermanentSourceError(
            "the topic has fewer messages than were read before, so it was created again or has lost messages:"
            f" {RESET_STREAM} to read it from the beginning",
            evidence=(
                f"partition {partition}: read up to offset {offset}, and it ends at"
                f" {end_offsets.get(partition, 'no offset')}",
            ),
        )


def skipped_messages(messages: list[Message], rows: list[dict[str, Any]]) -> LeftOutRecords:
    """Return the messages for which there is no row, because the settings `skip_message_…` leave them out."""
    left_out = LeftOutRecords()
    decoded = {(row["partition"], row["offset"]) for row in rows}
    for message in messages:
        partition, offset = message.partition(), _require_offset(message)
        if (partition, offset) in decoded:
            continue
        key, value = _text_of(message.key()), _text_of(message.value())
        reason = "the message has no value" if not value else "the message cannot be decoded"
        left_out.add(
            "skipped",
            {"partition": partition, "offset": offset, "key": key, "value": value},
            reason=reason,
            position=f"partition {partition}, offset {offset}",
        )
    return left_out


def _text_of(data: bytes | str | None) -> str | None:
    return data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data


def _require_offset(message: Message) -> int:
    offset = message.offset()
    if offset is None:
        raise PermanentSourceError("Kafka returned a message without an offset")
    return offset


def convert_error(error: KafkaError) -> EngineError:
    """Convert one of Kafka's errors to an EngineError."""
    evidence = (f"{error.name()}: {error.str()}"[:300],)
    if error.code() in REFUSED_USER_CODES:
        return AuthenticationError("Kafka refused the user", evidence=evidence)
    if error.code() in {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET}:
        return SourceError(
            "the topic has deleted messages before they were read; reset the stream to start from the beginning",
            evidence=evidence,
        )
    if error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:
        return ConfigurationError("there is no such topic", evidence=evidence)
    return SourceError("Kafka failed", evidence=evidence)
