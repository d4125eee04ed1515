"""The agent's tools for other programs: the Model Context Protocol (MCP) at `/mcp`, with an API key."""
