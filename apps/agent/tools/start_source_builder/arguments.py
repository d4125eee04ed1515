from apps.agent.tools.base import Arguments


class StartSourceBuilder(Arguments):
    pass
