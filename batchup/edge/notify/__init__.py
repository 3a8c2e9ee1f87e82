"""Telling somebody elsewhere how a run ended: by a webhook, by apprise's services, by pings."""
