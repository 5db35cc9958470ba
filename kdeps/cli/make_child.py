# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Run make as a child that behaves like make itself.

Arguments, environment, descriptors, ignored signals, terminal and job server are those that kdeps got. kdeps waits
and passes on each signal that a process sent to kdeps alone. What the terminal sends reaches make by itself, because
both are in one process group. In the end kdeps has make's exit status, or dies of make's signal.
"""

from __future__ import annotations

import os
import signal


class MakeEnd:
    """How make ended."""

    __slots__ = ("status", "was_signalled")

    def __init__(self, status: int, was_signalled: bool) -> None:
        self.status = status
        """As ``waitpid`` has it."""
        self.was_signalled = was_signalled
        """Whether kdeps got a signal that ends a program."""


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PASSED_ON = (*_ENDING, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
_SENT_BY_KERNEL = 0x80
"""``si_code`` of what the terminal sends. Source: linux ``include/uapi/asm-generic/siginfo.h`` (``SI_KERNEL``)."""
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these two, and what is ignored stays so across exec."""


def run_make_child(words: tuple[str, ...], environ: dict[str, str]) -> MakeEnd:
    """Run make in the foreground and wait for its end. Raises OSError: make cannot be started."""
    waited = {number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN}
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or the kernel keeps no exit status
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*waited, signal.SIGCHLD})
    try:
        pid = _start(["make", *words], environ, before)
        return _wait(pid, waited)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(command: list[str], environ: dict[str, str], mask: set[int | signal.Signals]) -> int:
    """Start a program with the signals that kdeps was started with; return its pid.

    Not by ``posix_spawn``: in glibc that leaves two signals of its own ignored.
    """
    reader, writer = os.pipe()  # closed by exec
    pid = os.fork()
    if pid == 0:
        try:
            for number in _RESTORED:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.execvpe(command[0], command, environ)
        except OSError as error:
            os.write(writer, str(error.errno).encode())
        finally:
            os._exit(127)
    os.close(writer)
    with open(reader, "rb") as file:
        failure = file.read()
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def _wait(pid: int, waited: set[signal.Signals]) -> MakeEnd:
    was_signalled = False
    while True:
        info = signal.sigwaitinfo({*waited, signal.SIGCHLD})
        number = signal.Signals(info.si_signo)
        if number is signal.SIGCHLD:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return MakeEnd(status, was_signalled)
            continue
        was_signalled = was_signalled or number in _ENDING
        if info.si_code != _SENT_BY_KERNEL:
            os.kill(pid, number)
        if number is signal.SIGTSTP:
            _stop_as_well()


def _stop_as_well() -> None:
    """Stop as the default action of the signal has it, which leaves an orphaned process group running."""
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
