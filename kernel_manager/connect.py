"""From settings to a broker: the configured one, or the local one, started when needed."""

from kernel_manager.client.endpoint import Connect, Endpoint, fixed
from kernel_manager.client.rest import AsyncClient
from kernel_manager.local import ensure_local_broker
from kernel_manager.settings import Settings


def to_connect(settings: Settings) -> Connect:
    """How to find the broker that these settings mean."""
    if settings.endpoint is not None:
        return fixed(settings.endpoint)

    async def connect() -> Endpoint:
        return await ensure_local_broker(settings.local)

    return connect


def new_client(settings: Settings) -> AsyncClient:
    """A client of the broker that these settings mean."""
    return AsyncClient(to_connect(settings), patience=settings.patience)
