"""Anthropic Messages to OpenAI Responses and back."""
