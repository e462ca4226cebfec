"""Objects of libraries that are lost with their process, and what of them is not."""

from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting
from kernel_broker.worker.state.pickling import tensors


def test_a_parsed_tree_is_lost_alone(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    sitting = Sitting(bench, tmp_path)
    sitting.run("from lxml import etree\nt=etree.fromstring('<a/>'); d={'t': t, 'keep': [1]}")
    sitting.move()
    assert sitting.run("print(d['keep'])").text == "[1]\n"
    assert sitting.run("t.tag").error == (
        "StateLost: 't': lxml.etree._Element made in cell [1] cannot be saved "
        "(TypeError: cannot pickle 'lxml.etree._Element' object); re-run cell 1"
    )


def test_mapped_classes_are_named_one_by_one(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    sitting = Sitting(bench, tmp_path)
    sitting.run(
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column\n"
        "class Base(DeclarativeBase): pass\n"
        "class U(Base):\n    __tablename__='u'\n    id: Mapped[int]=mapped_column(primary_key=True)\n"
        "u=U(id=3); keep=[1]"
    )
    sitting.move()
    assert sitting.run("print(keep)").text == "[1]\n"
    assert not sitting.lost
    kind = "sqlalchemy.orm.decl_api.DeclarativeAttributeIntercept"
    for name, use in (("Base", "Base.metadata"), ("U", "U()"), ("u", "u.id")):
        assert sitting.run(use).error == (
            f"StateLost: '{name}': {kind} made in cell [1] is known to live registries of its library; "
            "re-run cell 1"
        )


def test_a_database_in_memory_is_lost_with_its_engine_s_connection(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    sitting = Sitting(bench, tmp_path)
    sitting.run("import sqlalchemy as sa\ne=sa.create_engine('sqlite://')\nc=e.connect()")
    sitting.move()
    assert (sitting.run("c.execute(sa.text('select 1'))").error or "").startswith("StateLost: ")


@pytest.mark.parametrize(
    ("package", "making", "use", "kind"),
    [
        ("numba", "from numba import typed\nx = typed.List([1, 2])", "len(x)", "numba.typed.typedlist.List"),
        (
            "xgboost",
            "import xgboost, numpy as np\nx = xgboost.DMatrix(np.ones((2, 2)))",
            "x.num_row()",
            "xgboost.core.DMatrix",
        ),
        (
            "lightgbm",
            "import lightgbm, numpy as np\nx = lightgbm.Dataset(np.ones((9, 2)), np.arange(9)).construct()",
            "x.num_data()",
            "lightgbm.basic.Dataset",
        ),
        (
            "tqdm",
            "from tqdm.auto import tqdm\nx = iter(tqdm(range(3), disable=None)); next(x)",
            "next(x)",
            "generator",
        ),
    ],
)
def test_what_a_library_keeps_in_its_own_memory_is_named(
    bench: Bench, tmp_path: Path, package: str, making: str, use: str, kind: str
) -> None:
    pytest.importorskip(package)
    sitting = Sitting(bench, tmp_path)
    pinned = sitting.run(f"{making}\nkeep = [1]").done["pinned"]
    assert [(pin["name"], pin["type"]) for pin in pinned] == [("x", kind)]
    assert sitting.run(use).error is None
    sitting.move()
    assert (sitting.run(use).error or "").startswith(f"StateLost: 'x': {kind} made in cell [1] lives only in")
    assert sitting.run("print(keep)").text == "[1]\n"


def test_a_compiled_cell_is_there_where_its_file_is_not(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("Cython")
    sitting = Sitting(bench, tmp_path)
    sitting.run("%load_ext Cython")
    sitting.run("%%cython\ndef add(int a, int b): return a + b")
    sitting.run("import os; path = __import__('sys').modules[add.__module__].__file__")
    sitting.move()
    assert sitting.run("os.unlink(path); print(add(1, 2))").text == "3\n"
    sitting.move()
    assert sitting.run("print(os.path.exists(path), add(1, 2))").text == "False 3\n"


class Device:
    type = "cuda"

    def __str__(self) -> str:
        return "cuda:0"


class Tensor:
    """What a reducer asks of a tensor on a device, and of its copy on the host."""

    device = Device()
    requires_grad = True
    is_leaf = True
    has_device = False

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return Tensor()

    def to(self, _device: str) -> "Tensor":
        if not self.has_device:
            raise RuntimeError("no such device")
        placed = Tensor()
        placed.has_device = True
        return placed

    def requires_grad_(self) -> "Tensor":
        self.gradient = True
        return self


def test_a_tensor_on_a_device_comes_back_on_the_host_where_there_is_no_device() -> None:
    make, (host, device, gradient) = tensors.reduce_on_device(Tensor())
    assert device == "cuda:0" and gradient
    assert make(host, device, gradient) is host and host.gradient
    host.has_device = True
    assert make(host, device, gradient) is not host
