"""Links to the front end: open comms, and the widgets at this end of them."""

import sys
from typing import Any

from kernel_broker.worker.state.providers.contract import Provider


class Comms(Provider):
    """Comms that are open: a message of the front end finds its comm in whatever process."""

    name = "comms"
    in_graph = True
    reaches = False

    def collect(self) -> Any:
        """Comms by id."""
        kernel = getattr(self.shell, "kernel", None)
        return dict(kernel.comm_manager.comms) or None if kernel is not None else None

    def apply(self, value: dict[str, Any]) -> None:
        """Register them, open if they were; the front end has them open already."""
        for comm_id, comm in value.items():
            self.shell.kernel.comm_manager.comms[comm_id] = comm
            comm._closed = not vars(comm).pop("_to_open", False)


class Widgets(Provider):
    """What ipywidgets knows of: widgets by model, the control comm, the hook for new widgets."""

    name = "widgets"
    needs = "ipywidgets.widgets.widget"
    in_graph = True
    reaches = False

    def collect(self) -> Any:
        """Widgets live without a variable: the front end may show them."""
        module: Any = sys.modules["ipywidgets.widgets.widget"]
        widget = module.Widget
        known = (dict(module._instances), widget._control_comm, widget._widget_construction_callback)
        return known if any(known) else None

    def apply(self, value: Any) -> None:
        """Make them known again."""
        from ipywidgets.widgets import widget as module

        instances, control, hook = value
        module._instances.update(instances)
        module.Widget._control_comm, module.Widget._widget_construction_callback = control, hook
