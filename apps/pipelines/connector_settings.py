"""What happens to pipelines when the settings of a connector change."""

from __future__ import annotations

from apps.connectors import services as connectors
from apps.pipelines import targets

connectors.watch_settings(targets.change_of_connector)
