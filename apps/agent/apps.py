from django.apps import AppConfig


class AgentConfig(AppConfig):
    name = "apps.agent"

    def ready(self) -> None:
        from apps.agent.conversations.feed import CONVERSATION
        from apps.live import subjects

        subjects.register(CONVERSATION)
