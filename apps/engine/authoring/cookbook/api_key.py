"""A key in a header

The API wants its key in a header of its own; with `param="api_key"` it would go into the query.
"""

from drover import ApiKey, RestSource, Secret, Stream


class Weather(RestSource):
    base_url = "https://api.weather.example/v1"
    auth = ApiKey("api_key", header="X-API-Key")
    streams = [
        Stream("stations", records="data", primary_key="id"),
        Stream("alerts", records="data.alerts", params={"state": "all"}),
    ]

    class Config:
        api_key: str = Secret("Account > API keys")
