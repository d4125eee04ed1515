"""A key in a header

The API expects its key in a custom header. Use `param="api_key"` to send the key as a query parameter.
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
