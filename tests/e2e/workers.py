"""Commands that run on and on, until a test kills or stops them."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.supervise import Running

STOPPING = 120
"""Seconds that an orderly end may take."""
_LAST_WORDS = 4000


class Worker:
    """One command, in a session of its own, started again after each kill. All that it ever printed is in `log`."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, logs: Path | None = None
    ) -> None:
        self.name, self.kills = name, 0
        self.log = (logs or folder) / f"{name}.log"
        self._command, self._environment, self._folder = list(command), dict(environment), folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin a life. Nothing happens to one that runs."""
        if self._process is not None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to it and to all that it started. That it ran until then is part of the promise."""
        self.check()
        assert self._process is not None, f"{self.name} was never started"
        self.kills += 1
        self._end()

    def stop(self) -> None:
        """SIGTERM; it ends in an orderly way, with exit code 0."""
        self.check()
        process = self._process
        assert process is not None, f"{self.name} was never started"
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop in {STOPPING} s\n{self.last_words()}") from None
        finally:
            self._end()
        assert code == 0, f"{self.name} was told to stop and ended with {code}\n{self.last_words()}"

    def wait(self, seconds: float) -> int:
        """Let it come to its own end, and how it ended. Raises AssertionError if it doesn't in time."""
        assert self._process is not None, f"{self.name} was never started"
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end in {seconds:.0f} s\n{self.last_words()}") from None
        finally:
            self._end()

    def check(self) -> None:
        """Raise AssertionError if it has ended by itself."""
        code = None if self._process is None else self._process.poll()
        assert code is None, f"{self.name} ended by itself with {code}\n{self.last_words()}"

    def last_words(self) -> str:
        """The end of its log, for a failing test."""
        text = self.log.read_bytes()[-_LAST_WORDS:].decode(errors="replace") if self.log.exists() else ""
        return f"--- {self.log} ends with\n{text}"

    def close(self) -> None:
        """Whatever state it is in, nothing of it is left."""
        if self._process is not None:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        running = Running.of(process.pid)
        if running is not None:
            running.kill()
        process.wait()
        assert b"Traceback (most recent call last)" not in self.log.read_bytes(), f"a stack trace\n{self.last_words()}"


@contextmanager
def at_work(*workers: Worker) -> Iterator[None]:
    """They run; at the end, however it comes, none does."""
    with ExitStack() as held:
        for worker in workers:
            held.callback(worker.close)
            worker.start()
        yield


def until(what: str, ready: Callable[[], bool], workers: Sequence[Worker], seconds: float, every: float = 0.1) -> None:
    """Return once `ready` holds. Raises AssertionError if a worker ends by itself meanwhile, or the time runs out."""
    deadline = time.monotonic() + seconds
    while not ready():
        for worker in workers:
            worker.check()
        if time.monotonic() > deadline:
            words = "\n".join(worker.last_words() for worker in workers)
            raise AssertionError(f"after {seconds:.0f} s it still isn't so: {what}\n{words}")
        time.sleep(every)
