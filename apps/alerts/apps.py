from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "apps.alerts"

    def ready(self) -> None:
        from apps.alerts import beginning
        from apps.alerts.deciding import undecided
        from apps.alerts.follow_ups import calls
        from apps.orgs.members import beginnings
        from apps.runs import endings

        beginnings.add_listener(beginning.add_first_rules)
        endings.add_listener(undecided.on_end)
        endings.add_listener(calls.on_end)
