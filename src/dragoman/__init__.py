"""dragoman: an Anthropic Messages gateway on top of OpenAI Responses upstreams."""

__version__ = "0.1.0"
