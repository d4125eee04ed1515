"""Read a topic page by page, up to the offsets at which it ended when the run began.

bizon 0.6.4 keeps the offset of only one partition per page, so it would read the others again, and it treats a
page of skipped messages as the end. So bizon decodes the messages, and this module reads them.
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
    AuthenticationError,
    ConfigurationError,
    EngineError,
    SourceError,
)
from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.connector import Pagination, SourcePage, checked, rows_page
from apps.engine.sources.http import reach
from apps.engine.sources.http.answers import UnhelpfulSourceError
from apps.engine.sources.kafka.config import Config
from apps.json import JsonValue

REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
WAIT = 0.2  # seconds to wait for a full batch
QUIET_ROUNDS = 3  # empty polls, in pages, before the brokers count as not responding

Offsets = dict[str, int]  # partition (as text, since JSON has no integer keys) -> offset


class Decoder(KafkaSource):
    """bizon's source with a consumer that has our settings."""

    def __init__(self, config: Any) -> None:
        AbstractSource.__init__(self, config)
        self.config = config
        self.topic_map = {topic.name: topic.destination_id for topic in config.topics}
        self.consumer = Consumer(dict(config.consumer_config))


class KafkaTopicSource(BizonSource[Config]):
    """A stream is a topic."""

    Config: ClassVar[type[Config]] = Config
    origin: ClassVar[Any] = Decoder
    incremental: ClassVar[bool] = True
    _position: Offsets | None = None  # the offsets at which the consumer continues

    @classmethod
    def streams(cls) -> list[str]:
        return []

    def check(self) -> Iterator[CheckStep]:
        private, timeout = self.allow_private_networks, float(self.settings.consumer_timeout)
        host, port = self._servers()[0]
        return checked(
            [
                ("resolve", lambda: reach.resolve(host, port, allow_private=private)),
                (
                    "connect",
                    lambda: reach.connect(host, port, allow_private=private, timeout=timeout),
                ),
                ("authenticate", self._check_topics),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        fields = tuple(
            FieldInfo(name, kind, nullable=False)
            for name, kind in (
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
            for name in sorted(self._topics())
            if not name.startswith("__")
        ]

    def get_total_records_count(self) -> int | None:
        first, last = self._bounds()
        return sum(last.values()) - sum(first.values()) or None

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._read(pagination or {}, {})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._read(pagination or {}, source_state.state.get("offsets", {}))

    def close(self) -> None:
        if "inner" in self.__dict__:
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
        skipping = {name for name in Config.model_fields if name.startswith("skip_")}
        return {
            **settings.model_dump(include=skipping | {"bootstrap_servers", "message_encoding"}),
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
        for host, port in self._servers():
            check_host(host, port, allow_private=self.allow_private_networks)
        return super()._bizon_config()

    def _read(self, token: Mapping[str, Any], since: Mapping[str, int]) -> SourcePage:
        if token:
            reached, last = dict(token["reached"]), dict(token["last"])
        else:
            reached, last = self._bounds()
            reached |= {part: since[part] for part in reached if part in since}
        messages = self._consumed(reached, last)
        rows = self._asking(lambda: self._decoded(messages))
        if all(reached[part] >= last[part] for part in last):
            return rows_page(rows, {}, {"offsets": reached})
        return rows_page(rows, {"reached": reached, "last": last})

    def _consumed(self, reached: Offsets, last: Offsets) -> list[Message]:
        """Return messages from `reached` on, and advance `reached`. Empty only if none are left."""
        topic = self.spec.stream
        open_parts = [part for part in last if reached[part] < last[part]]
        self._go_to({part: reached[part] for part in open_parts})
        wanted: list[Message] = []
        deadline = time.monotonic() + QUIET_ROUNDS * self.settings.consumer_timeout
        while not wanted and any(reached[part] < last[part] for part in open_parts):
            for message in self._consumer.consume(self.settings.batch_size, timeout=WAIT):
                if self._takes(message, reached, last):
                    wanted.append(message)
            if not wanted and time.monotonic() > deadline:
                raise SourceError(
                    "the brokers did not respond in time",
                    evidence=(f"topic {topic}, offsets {reached}"[:300],),
                )
        self._position = {part: reached[part] for part in open_parts}
        return wanted

    def _go_to(self, offsets: Offsets) -> None:
        """Seek to the offsets.

        Skipped if the consumer is already there, because a new assignment drops prefetched messages.
        """
        if offsets != self._position:
            self._consumer.assign(
                [TopicPartition(self.spec.stream, int(part), at) for part, at in offsets.items()]
            )
        self._position = None  # unknown until the page is complete

    def _takes(self, message: Message, reached: Offsets, last: Offsets) -> bool:
        """Whether the message belongs to the page; advances its partition's offset."""
        part = str(message.partition())
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            # Messages missing before `last` were compacted away, or are not committed yet; the next run reads
            # those.
            last[part] = min(last[part], _offset(message))
            reached[part] = max(reached[part], last[part])
            return False
        if error is not None:
            raise explained(error)
        offset = _offset(message)
        reached[part] = min(offset + 1, last[part])
        return offset < last[part]

    def _decoded(self, messages: list[Message]) -> list[dict[str, Any]]:
        return [record.data for record in self._decoder.parse_encoded_messages(messages)]

    def _bounds(self) -> tuple[Offsets, Offsets]:
        """Return the first offset of each partition, and the one after its last message."""
        topic = self.spec.stream
        partitions = self._topics().get(topic)
        if partitions is None:
            raise ConfigurationError(f"there is no topic {topic!r}")
        first: Offsets = {}
        last: Offsets = {}
        for number in partitions:
            low, high = self._calling(
                lambda number=number: self._consumer.get_watermark_offsets(
                    TopicPartition(topic, number), timeout=self.settings.consumer_timeout
                )
            )
            first[str(number)], last[str(number)] = int(low), int(high)
        return first, last

    def _topics(self) -> dict[str, list[int]]:
        """Return the partitions by topic.

        Raises if the brokers announce addresses that the egress policy forbids.
        """
        metadata = self._calling(
            lambda: self._consumer.list_topics(timeout=self.settings.consumer_timeout)
        )
        for broker in metadata.brokers.values():
            check_host(broker.host, broker.port, allow_private=self.allow_private_networks)
        return {name: sorted(topic.partitions) for name, topic in metadata.topics.items()}

    def _check_topics(self) -> str:
        return f"{len(self._topics()):,} topics to read"

    def _calling(self, ask: Any) -> Any:
        try:
            return ask()
        except KafkaException as error:
            raise explained(error.args[0]) from error

    def _servers(self) -> list[tuple[str, int]]:
        servers = (each.rpartition(":") for each in self.settings.bootstrap_servers.split(","))
        return [(host, int(port)) for host, _, port in servers]

    @property
    def _decoder(self) -> Any:
        return self.inner

    @property
    def _consumer(self) -> Any:
        return self._decoder.consumer


def _offset(message: Message) -> int:
    offset = message.offset()
    if offset is None:
        raise UnhelpfulSourceError("a message without an offset")
    return offset


def explained(error: KafkaError) -> EngineError:
    """Convert one of Kafka's errors to ours."""
    evidence = (f"{error.name()}: {error.str()}"[:300],)
    if error.code() in REFUSED:
        return AuthenticationError("Kafka refused the user", evidence=evidence)
    if error.code() in {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET}:
        return SourceError(
            "the topic has deleted messages before they were read; reset the stream to start from the beginning",
            evidence=evidence,
        )
    if error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:
        return ConfigurationError("there is no such topic", evidence=evidence)
    return SourceError("Kafka failed", evidence=evidence)
