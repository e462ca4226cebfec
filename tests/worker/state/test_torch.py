"""What of torch is lost with its process, how much of a large tensor is sent, and what is told."""

from pathlib import Path

import pytest

from fixtures.state_lab import Bench, Sitting

pytest.importorskip("torch")

GRAPH = "keeps its value, but the graph of its gradients ({}) is lost; re-run cell 2"


def test_a_graph_that_is_not_used_up_is_named_and_its_result_is_there(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("import torch\nw = torch.tensor([1., 2.], requires_grad=True)")
    pinned = sitting.run("loss = (w * w).sum(); grid = loss.view(1)").done["pinned"]
    assert sorted(pin["name"] for pin in pinned) == ["grid", "loss"]
    assert sitting.run("h = loss * 2").error is None
    sitting.move()
    shown = sitting.run("print(loss, loss.item(), grid.is_leaf); grid.data[0] = 6; print(loss.item())").text
    assert shown == "tensor(5., grad_fn=<SumBackward0>) 5.0 False\n6.0\n"
    expected = f"StateLost: 'loss': torch.Tensor made in cell [2] {GRAPH.format('SumBackward0')}"
    assert sitting.run("loss.backward()").error == expected
    sitting.move()
    assert sitting.run("(loss * 3).backward()").error == expected
    assert (
        sitting.run("print(w.grad, (w * 2).sum().backward(), w.grad)").text == "None None tensor([2., 2.])\n"
    )


def test_gradients_that_one_cell_leaves_in_another_variable_are_seen(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("import torch\nw = torch.ones(2, requires_grad=True); loss = (w * 3).sum()")
    sitting.run("loss.backward()")
    sitting.move()
    assert sitting.run("print(w.grad)").text == "tensor([3., 3.])\n"


def test_only_the_changed_part_of_a_large_tensor_is_sent(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    size = 32 * 2**20
    sent = sitting.run(
        f"import torch\nt = torch.rand({size // 4}); part = t[5:]\ndef step(): t[7] += 1"
    ).chunks
    assert size <= sum(sent.values()) < size + 2**20
    assert not sitting.run("step; part.shape").chunks
    assert sum(sitting.run("step()").chunks.values()) <= 2**20 + 2**16
    sitting.move()
    assert sitting.run("print((part[2] == t[7]).item(), part[2].item() > 1)").text == "True True\n"
    assert sum(sitting.run("part.add_(1); t[0] = 0").chunks.values()) >= size


def test_a_large_tensor_alone_is_loaded_when_it_is_named(bench: Bench, tmp_path: Path) -> None:
    sitting = Sitting(bench, tmp_path)
    sitting.run("import torch\nt = torch.ones(2**20); k = 1")
    sitting.move()
    sitting.run("k")
    assert not sitting.fetched
    assert sitting.run("print(t.sum().item())").text == "1048576.0\n"
    assert sitting.fetched


@pytest.mark.parametrize(
    ("making", "use", "kind"),
    [
        (
            "x = iter(torch.utils.data.DataLoader(torch.arange(9), batch_size=2)); next(x)",
            "next(x)",
            "torch.utils.data.dataloader._SingleProcessDataLoaderIter",
        ),
        (
            "x = torch.compile(lambda v: v + 1, backend='eager'); x(torch.ones(1))",
            "x(torch.ones(1))",
            "function",
        ),
        (
            "@torch.jit.script\ndef x(v: torch.Tensor) -> torch.Tensor: return v + 1",
            "x(torch.ones(1))",
            "torch.jit.torch.jit.ScriptFunction",
        ),
    ],
)
def test_what_is_nothing_without_its_process_is_named(
    bench: Bench, tmp_path: Path, making: str, use: str, kind: str
) -> None:
    sitting = Sitting(bench, tmp_path)
    done = sitting.run(f"import torch; keep = torch.ones(2)\n{making}").done
    assert ("x", kind) in [(pin["name"], pin["type"]) for pin in done["pinned"]]
    assert sitting.run(use).error is None
    sitting.move()
    assert (sitting.run(use).error or "").startswith(f"StateLost: 'x': {kind} made in cell [1] ")
    assert sitting.run("print(keep)").text == "tensor([1., 1.])\n"
