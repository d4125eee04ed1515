"""Offset pagination, user name and password

Pages of up to 500 records are requested until a page is empty. The server may return fewer than 500 records a
page. If the API answers with 404 after the last page, write `end_statuses=(404,)` in the stream.
"""

from drover import Basic, Field, Offset, RestSource, Secret, Stream


class Billing(RestSource):
    base_url = "https://billing.example/api/v1"
    auth = Basic("user", "password")
    paging = Offset(size=500, param="offset", size_param="limit")
    streams = [
        Stream("invoices", records="items", primary_key="number"),
        Stream("payments", records="items", primary_key="id"),
    ]

    class Config:
        user: str = Field("A user with read access")
        password: str = Secret()
