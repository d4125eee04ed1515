"""Bearer token and cursor pagination

Each response has the next page's cursor in `next_cursor`. `since` and `cursor_field` make orders incremental.
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
