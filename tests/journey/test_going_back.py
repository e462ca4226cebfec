"""`%revisions` and `%checkout` as a person uses them: in a kernel that a front end started."""

from fixtures.kernel import Kernel, LocalBroker, running_kernel


def test_a_notebook_goes_back_and_forth(kernel: Kernel) -> None:
    kernel.run("x = ['first']; y = x")
    kernel.run("x.append('second')")
    table = kernel.run("%revisions").stream()
    then = next(line.split()[0] for line in table.splitlines() if "[1]" in line)
    now = next(line.split()[0] for line in table.splitlines() if line.endswith("(current)"))
    answer = kernel.run(f"%checkout {then}")
    assert answer.reply["status"] == "ok"
    assert f"goes back to revision {then}" in answer.stream()
    answer = kernel.run("x, x is y, In[1:]")
    assert answer.result == "(['first'], True, [\"x = ['first']; y = x\", 'x, x is y, In[1:]'])"
    assert answer.reply["execution_count"] == 2
    kernel.run(f"%checkout {now}")
    assert kernel.run("x").result == "['first', 'second']"


def test_a_wrong_number_is_refused_at_once(kernel: Kernel) -> None:
    kernel.run("x = 1")
    for wrong in ("99", "", "one"):
        answer = kernel.run(f"%checkout {wrong}")
        assert answer.reply["status"] == "error"
        assert "(current)" in answer.stream("stderr")
    assert kernel.run("x").result == "1"


def test_a_checkout_survives_the_broker(local: LocalBroker) -> None:
    with running_kernel() as kernel:
        kernel.run("x = 1")
        kernel.run("x = 2")
        kernel.run("%checkout 1")
        local.kill()
        assert kernel.run("x").result == "1"
