from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from boxwright.training.stop import ECHO, DivergenceError, Interrupted, StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_a_second_ctrl_c_raises(number: int) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
        os.kill(os.getpid(), signal.SIGINT)  # an echo
        time.sleep(ECHO)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) == before


def test_what_is_watched_ends_between_items() -> None:
    seen = []
    with StopRequest() as stop, pytest.raises(Interrupted):
        for item in stop.watch(iter(range(5))):
            seen.append(item)
            if item == 2:
                os.kill(os.getpid(), signal.SIGINT)
    assert seen == [0, 1, 2]


def test_other_threads_train_without_signals() -> None:
    asked = []

    def work() -> None:
        with StopRequest() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


def test_a_divergence_names_some_files_and_keeps_all() -> None:
    error = DivergenceError("the loss of iteration 3", [f"{i}.jpg" for i in range(9)])
    assert "0.jpg, 1.jpg, 2.jpg, 3.jpg and 5 more" in str(error)
    assert len(error.images) == 9
