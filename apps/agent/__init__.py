"""The agent: conversations in which a language model uses Drover for a member, with an approval for each change."""
