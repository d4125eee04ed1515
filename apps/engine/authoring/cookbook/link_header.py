"""Pagination by the Link header

GitHub and other APIs send the next page's URL in the response's Link header.
"""

from drover import Bearer, Field, LinkHeader, RestSource, Secret, Stream


class Issues(RestSource):
    base_url = "https://api.github.com"
    auth = Bearer("token")
    paging = LinkHeader()
    headers = {"Accept": "application/vnd.github+json"}
    streams = [
        Stream(
            "issues",
            path="/repos/{owner}/{repository}/issues",
            params={"state": "all", "per_page": 100},
            primary_key="id",
            cursor_field="updated_at",
            since="since",
        ),
        Stream("contributors", path="/repos/{owner}/{repository}/contributors", primary_key="id"),
    ]

    class Config:
        token: str = Secret("A fine-grained token with read access")
        owner: str = Field("Owner of the repository")
        repository: str = Field("Name of the repository")
