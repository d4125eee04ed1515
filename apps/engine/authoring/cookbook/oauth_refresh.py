"""OAuth with a refresh token

The access token is fetched when needed and renewed before it expires. The subdomain is a setting.
"""

from drover import Field, OAuthRefresh, PageNumber, RestSource, Secret, Stream


class Crm(RestSource):
    base_url = "https://{account}.crm.example/api"
    auth = OAuthRefresh("https://login.crm.example/oauth/token")
    paging = PageNumber(size=200, param="page", size_param="per_page")
    streams = [Stream("contacts", primary_key="id"), Stream("deals", primary_key="id")]

    class Config:
        account: str = Field("The part before .crm.example")
        client_id: str = Field("Client id of your app")
        client_secret: str = Secret("Client secret of your app")
        refresh_token: str = Secret("From your app's authorization page")
