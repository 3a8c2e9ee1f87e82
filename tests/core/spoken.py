"""The wire of the service that the tests of the core speak to, each::labs."""

from batchup.core.wire import Wire
from batchup.settings.profiles import shipped

WIRE = Wire(shipped("eachlabs"))
