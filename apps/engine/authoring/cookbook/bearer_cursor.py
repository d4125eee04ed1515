"""A bearer token, and pages by cursor

Each answer names the next page in `next_cursor`. `since` with `cursor_field` makes orders incremental.
"""

from drover import Bearer, Cursor, RestSource, Secret, Stream


class Shop(RestSource):
    base_url = "https://api.shop.example/v2"
    auth = Bearer("token")
    paging = Cursor("next_cursor", param="cursor")
    streams = [
        Stream(
            "orders",
            records="data",
            primary_key="id",
            cursor_field="updated_at",
            since="updated_since",
        ),
        Stream("customers", records="data", primary_key="id"),
    ]

    class Config:
        token: str = Secret("Settings > API > Tokens")
