"""`python -m bench.agent.create_conversations N`: create an org with a member and N conversations.

Prints the JSON {"token", "conversations"}: an access token of the member, and the ids.
"""

from __future__ import annotations

import os
import sys

import django
import orjson


def main(count: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from bench.agent.accounts import create_account, create_conversations

    account = create_account()
    conversations = [str(pk) for pk in create_conversations(account, count)]
    output = {"token": account.token, "conversations": conversations}
    sys.stdout.write(orjson.dumps(output).decode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
