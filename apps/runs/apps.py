from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "apps.runs"

    def ready(self) -> None:
        from apps.live import subjects
        from apps.runs import followed

        subjects.register(followed.RUN)
