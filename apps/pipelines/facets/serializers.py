from __future__ import annotations

from typing import Any

from rest_framework import serializers


class FacetValueSerializer(serializers.Serializer[Any]):
    value = serializers.CharField(help_text="The value of the filter.")
    label = serializers.CharField()  # type: ignore[assignment]
    count = serializers.IntegerField()


class PipelineFacets(serializers.Serializer[Any]):
    domain = FacetValueSerializer(many=True)
    destination = FacetValueSerializer(many=True)
    tag = FacetValueSerializer(many=True)
    status = FacetValueSerializer(many=True, help_text="Statuses of the newest runs.")
    freshness = FacetValueSerializer(many=True)
    enabled = FacetValueSerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        """Add the field `source`. As a class attribute it would hide the attribute `source` of the serializer itself."""
        return {**super().get_fields(), "source": FacetValueSerializer(many=True)}
