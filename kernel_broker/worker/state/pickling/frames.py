"""pandas: blocks that share memory must also share the record of it, or copy-on-write would not copy."""

from typing import Any


def reduce_block(_pickler: Any, block: Any) -> Any:
    """A block, entered in the record of those that share its values."""
    make, arguments = block.__reduce__()[:2]
    return new_block, (make, arguments, block.refs)


def new_block(make: Any, arguments: tuple[Any, ...], references: Any) -> Any:
    """The block."""
    block = make(*arguments)
    references.add_reference(block)
    block.refs = references
    return block


def reduce_references(_pickler: Any, references: Any) -> Any:
    """An empty record: who shares the values enters itself."""
    return type(references), ()


def reduce_single_manager(_pickler: Any, manager: Any) -> Any:
    """The manager of a Series; its own way makes a new block."""
    return type(manager), (manager.blocks[0], manager.axes[0])


def reduce_index(_pickler: Any, index: Any) -> Any:
    """An index; most share their values with nothing."""
    references = vars(index).get("_references")  # a RangeIndex has no values to share
    if references is None or not references.has_reference():
        return NotImplemented
    make, arguments = index.__reduce__()[:2]
    return new_index, (make, arguments, references)


def new_index(make: Any, arguments: tuple[Any, ...], references: Any) -> Any:
    """The index, entered in the record."""
    index = make(*arguments)
    index._references = references
    references.add_index_reference(index)
    return index
